#include "forward/reach.h"

#include <assert.h>

bool reach_is_down(const struct reach *reach)
{
    return reach->pause > 0;
}

bool reach_allows(const struct reach *reach, uint64_t now)
{
    if (reach_is_down(reach))
        return reach->calling == 0 && now >= reach->next;
    return reach->calling < REACH_CALLS_MAX;
}

uint64_t reach_wait(const struct reach *reach, uint64_t now)
{
    if (reach_allows(reach, now))
        return 0;
    if (!reach_is_down(reach) || reach->calling > 0)
        return UINT64_MAX;
    return reach->next - now;
}

void reach_begin(struct reach *reach)
{
    /* Down, it is the only call: reach_allows has seen to that. */
    reach->probing = reach_is_down(reach);
    reach->calling++;
}

void reach_ended(struct reach *reach)
{
    assert(reach->calling > 0);
    reach->calling--;
    reach->probing = false;
}

bool reach_succeeded(struct reach *reach)
{
    bool was_down = reach_is_down(reach);

    reach_ended(reach);
    reach->pause = 0;
    return was_down;
}

bool reach_failed(struct reach *reach, uint64_t now, uint32_t random)
{
    bool was_up = !reach_is_down(reach), news = was_up || reach->probing;

    reach_ended(reach);
    if (!news) /* a call that began before it went down */
        return false;
    reach->pause = was_up ? REACH_FIRST_MS : 2 * reach->pause;
    if (reach->pause > REACH_LAST_MS)
        reach->pause = REACH_LAST_MS;
    /* Between half of the pause and all of it. */
    reach->next = now + reach->pause - random % (reach->pause / 2 + 1);
    return was_up;
}
