/* hello.c: two processes talk over a socket pair, with libhelio's public interface alone. */
#include <helio.h>

#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Trusts one key and no other; says one thing and hangs up; shows what it hears. */
static enum helio_err answer(helio_session *s, const helio_event *e,
                             const helio_fingerprint *friend)
{
    if (e->kind == HELIO_EVENT_PEER) {
        if (helio_fingerprint_equal(&helio_session_peer(s)->fingerprint, friend))
            return helio_session_trust(s);
        helio_session_refuse(s, HELIO_REFUSE_UNTRUSTED);
    } else if (e->kind == HELIO_EVENT_OPEN) {
        enum helio_err err = helio_session_send(s, (const uint8_t *)"hello", 5, HELIO_MESSAGE);
        return err ? err : helio_session_close(s);
    } else if (e->kind == HELIO_EVENT_MESSAGE) {
        printf("%s says %.*s\n", helio_session_peer(s)->name, (int)e->size, (const char *)e->data);
    } else if (e->kind == HELIO_EVENT_CLOSED) {
        return helio_session_confirm(s); /* all that it said has been shown */
    }
    return HELIO_OK;
}

/* Moves bytes between socket and session until both sides have hung up, or one fails. */
static enum helio_err talk(helio_session *s, int fd, const helio_fingerprint *friend)
{
    uint8_t in[4096], out[4096];
    size_t at = 0, n = 0;

    for (;;) {
        helio_event event = {0};
        enum helio_err err = helio_session_next(s, &event);

        if (!err && event.kind != HELIO_EVENT_NONE && !(err = answer(s, &event, friend)))
            continue;
        /* After an error, too: the peer is told.  This is too little to fill the socket. */
        for (size_t m; (m = helio_session_pull(s, out, sizeof out)) > 0;)
            if (write(fd, out, m) != (ssize_t)m)
                return HELIO_E_SYSTEM;
        if (err || helio_session_done(s))
            return err;
        if (at == n) {
            ssize_t got = read(fd, in, sizeof in);
            n = got > 0 ? (size_t)got : 0;
            at = 0;
        }
        size_t used = 0;
        err = n > 0 ? helio_session_feed(s, in + at, n - at, &used) : helio_session_eof(s);
        if (!err) /* else the session keeps it, and helio_session_next says it */
            at += used;
    }
}

int main(void)
{
    helio_identity *ids[2] = {NULL, NULL};
    helio_session *session = NULL;
    int fds[2], child_status = 0;

    if (helio_identity_generate(&ids[0], 2048) || helio_identity_generate(&ids[1], 2048) ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
        return 1;
    pid_t child = fork();
    int me = child == 0;
    helio_config config = {.identity = ids[me], .name = me ? "bob" : "alice"};
    enum helio_err err =
        helio_session_new(&session, &config, me ? HELIO_RESPONDER : HELIO_INITIATOR);
    (void)close(fds[!me]);
    if (!err)
        err = talk(session, fds[me], helio_identity_fingerprint(ids[!me]));
    if (err)
        fprintf(stderr, "%s: %s\n", config.name, helio_strerror(err));
    helio_session_free(session);
    helio_identity_free(ids[0]);
    helio_identity_free(ids[1]);
    (void)close(fds[me]);
    if (child != 0 && (waitpid(child, &child_status, 0) != child || child_status != 0))
        return 1;
    return err != HELIO_OK;
}
