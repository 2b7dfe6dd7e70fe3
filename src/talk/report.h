/*
 * report.h: what a call has to tell people, and programs that read --log json.
 *
 * Nothing secret passes here, except that classic shows its session key, as the original did.
 */
#ifndef HELIO_TALK_REPORT_H
#define HELIO_TALK_REPORT_H

#include "talk/talk.h"

/* "connected", and with whom. */
void report_open(const struct talk *talk);
/* Why the call ended, unless that was said already; returns the exit status it means. */
int report_end(const struct talk *talk);
/* Peer, bytes each way, duration; shown with -v, and always in JSON. */
void report_close(const struct talk *talk, int status);
/* A helio_trace_fn; context is the talk.  Called on other threads, too (io.h). */
void report_trace(void *context, const char *what, const uint8_t *data, size_t n);

#endif
