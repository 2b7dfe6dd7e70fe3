/*
 * roll.h: the stations that are served, as the operator last wrote them down.
 *
 * The roll is the file of --allow, else the known stations; both have the same form (helio_known).
 * Readers on any thread hold a list while they look at it; a reload puts a new one in its place, and
 * the old one goes with its last holder.  A file that cannot be read leaves the old list standing.
 */
#ifndef HELIO_SERVE_ROLL_H
#define HELIO_SERVE_ROLL_H

#include "cli/cli.h"

struct roll;
struct roll_list;

/* Reads the file.  STATUS_DONE, or another status, said already. */
HELIO_MUST_CHECK int roll_new(struct roll **out, const struct options *options);
/* After the last list was let go. */
void roll_free(struct roll *roll);
/*
 * Reads it again, and says so; one thread at a time.  STATUS_DONE, or another, said already: then
 * all is as it was.
 */
HELIO_MUST_CHECK int roll_reload(struct roll *roll);
/* The path that it is read from. */
const char *roll_path(const struct roll *roll);
/* It comes from --allow: then nobody who is not in it is served, our own key neither. */
bool roll_strict(const struct roll *roll);

/* From any thread: the list as it stands now, good until roll_let_go. */
struct roll_list *roll_hold(struct roll *roll);
const helio_known *roll_known(const struct roll_list *list);
void roll_let_go(struct roll_list *list);

#endif
