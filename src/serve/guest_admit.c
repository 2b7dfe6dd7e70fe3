/*
 * guest_admit.c: whether a station may come in: by its key, by the service that it asks for, by the
 * room that is left; and what is said of one that may not.
 */
#include <stdlib.h>
#include <string.h>

#include "serve/serve.h"

static void refuse(struct guest *guest, helio_refusal why, enum gate_outcome outcome,
                   const char *cause)
{
    guest->cause = cause;
    guest->ending = true;
    guest_settle(guest, outcome);
    io_line_refuse(guest->line, why);
}

/* ------------------------------------------------------------------------------------ the key -- */

static struct trust_case case_of(const struct guest *guest, const struct roll_list *list)
{
    const struct serve *serve = guest_serve(guest);
    const helio_known *known = roll_known(list);
    /* Who serves nobody does not serve itself either. */
    bool alone = roll_strict(serve->roll) || helio_known_count(known) == 0;

    return (struct trust_case){
        .known = known,
        .own = alone ? NULL : helio_identity_fingerprint(serve->identity),
        .pin = serve->pin.set ? &serve->pin : NULL,
        .accept_new = serve->options->accept_new && !roll_strict(serve->roll),
        .role = HELIO_RESPONDER,
        .label = "",
        .peer = helio_session_peer(io_line_session(guest->line)),
        .address = io_line_name(guest->line),
        .known_path = roll_path(serve->roll),
    };
}

static void refuse_untrusted(struct guest *guest, const struct trust_case *c,
                             const struct trust_decision *d)
{
    struct serve *serve = guest_serve(guest);
    struct options shown = *serve->options;

    if (tally_may_say(serve->tally, guest_now(guest))) {
        if (roll_strict(serve->roll)) {
            shown.known = roll_path(serve->roll);
            shown.known_given = true;
        }
        trust_say_refusal(&shown, c, d, TRUST_UNASKED);
    }
    refuse(guest, HELIO_REFUSE_UNTRUSTED, GATE_REFUSED, "untrusted");
}

/*
 * --accept-new: remembers it and reads the roll again, one guest at a time and after another look:
 * it may be known by now.
 */
static bool remember(struct guest *guest)
{
    struct serve *serve = guest_serve(guest);
    struct roll_list *list;
    struct trust_case c;
    struct trust_decision d;
    bool done;

    pthread_mutex_lock(&serve->remembering);
    list = roll_hold(serve->roll);
    c = case_of(guest, list);
    d = trust_decide(&c);
    done = !d.remember || (trust_remember(serve->options, &c) == STATUS_DONE &&
                           roll_reload(serve->roll) == STATUS_DONE);
    roll_let_go(list);
    pthread_mutex_unlock(&serve->remembering);
    return done;
}

static void name_guest(struct guest *guest, const char *name)
{
    char *copy = strdup(name);

    /* Without memory it goes by its address. */
    if (!copy)
        return;
    free(guest->name);
    guest->name = copy;
    guest->who = copy;
}

/* True when its key is one that we serve.  Else it has been refused. */
static bool decide(struct guest *guest)
{
    struct serve *serve = guest_serve(guest);
    struct roll_list *list = roll_hold(serve->roll);
    struct trust_case c = case_of(guest, list);
    struct trust_decision d = trust_decide(&c);

    if (d.verdict == TRUST_TRUSTED && d.remember) {
        roll_let_go(list);
        if (!remember(guest)) {
            guest_fail(guest, "failed here");
            return false;
        }
        list = roll_hold(serve->roll);
        c = case_of(guest, list);
        d = trust_decide(&c);
    }
    if (d.verdict == TRUST_TRUSTED)
        name_guest(guest, d.name);
    else
        refuse_untrusted(guest, &c, &d);
    roll_let_go(list);
    return d.verdict == TRUST_TRUSTED;
}

bool guest_allowed(const struct guest *guest)
{
    struct roll_list *list = roll_hold(guest_serve(guest)->roll);
    struct trust_case c = case_of(guest, list);
    bool allowed;

    c.accept_new = false;
    allowed = trust_decide(&c).verdict == TRUST_TRUSTED;
    roll_let_go(list);
    return allowed;
}

/* --------------------------------------------------------------------------- service and room -- */

static bool service_offered(struct guest *guest)
{
    const helio_peer *peer = helio_session_peer(io_line_session(guest->line));
    struct serve *serve = guest_serve(guest);

    /* Who names no service takes what there is. */
    if (!*peer->service)
        return true;
    for (const char *const *name = guest->service->asked_as; *name; name++)
        if (strcmp(peer->service, *name) == 0)
            return true;
    if (tally_may_say(serve->tally, guest_now(guest)))
        say_fields(SAY_NOTE, "refused",
                   (const struct say_field[]){{.key = "peer", .text = guest->who},
                                              {.key = "address", .text = io_line_name(guest->line)},
                                              {.key = "cause", .text = "service"},
                                              {.key = "service", .text = peer->service},
                                              {.key = NULL}},
                   "refused %s (%s): it asks for the service \"%s\", and here is %s", guest->who,
                   io_line_name(guest->line), peer->service, guest->service->name);
    refuse(guest, HELIO_REFUSE_SERVICE, GATE_REFUSED, "refused: service");
    return false;
}

static bool room_left(struct guest *guest)
{
    struct serve *serve = guest_serve(guest);
    bool stopping = atomic_load(&serve->stopping);

    if (!stopping && atomic_fetch_add(&serve->stations, 1) < serve->max_stations) {
        guest->counted = true;
        return true;
    }
    if (!stopping) {
        atomic_fetch_sub(&serve->stations, 1);
        if (tally_may_say(serve->tally, guest_now(guest)))
            say_fields(
                SAY_NOTE, "refused",
                (const struct say_field[]){{.key = "peer", .text = guest->who},
                                           {.key = "address", .text = io_line_name(guest->line)},
                                           {.key = "cause", .text = "busy"},
                                           {.key = NULL}},
                "refused %s (%s): all %u places are taken (--max-stations)", guest->who,
                io_line_name(guest->line), serve->max_stations);
    }
    refuse(guest, HELIO_REFUSE_BUSY, GATE_OURS, "refused: busy");
    return false;
}

bool guest_admit(struct guest *guest)
{
    return decide(guest) && service_offered(guest) && room_left(guest);
}
