/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pools of huge pages, one for each node and page size: a guest with
 * <hugepages> starts only where its pages are ready.
 *
 * `fixed` divides hugepages.target evenly between the nodes that have memory.
 * `auto` wants, of each pool that is in use or of hugepages.size,
 *
 *     the pages in use + what was advised for guests that are not here yet and
 *     that has not been taken meanwhile + hugepages.spare, and at least
 *     hugepages.minimum (auto, and of other sizes: what it had).
 *
 * It grows at once, in steps, and shrinks when it has been too large for
 * hugepages.dwell, never below what is in use.
 *
 * Pages of a pool are nobody else's. So none are taken that the host's reserve
 * needs, that running guests were promised (what their balloons leave them and
 * they have not touched), or beyond hugepages.maximum. The kernel makes huge
 * pages by moving what is in the way, and gives fewer without an error when it
 * cannot: then it is left alone for a minute, doubling to an hour.
 *
 * What a pool holds is what was last set and seen to be there, exactly; any
 * other number is somebody else's doing. Pages beyond it that guests hold
 * (surplus) do not count: they go with the guest.
 */

#include <inttypes.h>
#include <stdio.h>

#include "parse.h"
#include "policy_knob.h"

/* The most in one step and pool: a second or two of the kernel's time. */
#define STEP_BYTES (2 * GIB)
#define RETRY_USEC USEC_PER_MINUTE
#define RETRY_DOUBLINGS 6U

typedef struct Pools {
        PolicyContext *c;
        HugepagesMode mode;
        KnobSkips skips;
        uint64_t page_bytes;            /* hugepages.size */
        uint64_t memory_bytes;          /* of all nodes */
        uint64_t n_nodes;               /* with memory */
        uint64_t n_guests;              /* in huge pages */
        uint64_t promised_bytes;        /* to guests without huge pages */
        uint64_t reserve_bytes;
        uint64_t coming_bytes;          /* what pools of the node that is looked at are to get yet */
} Pools;

typedef struct Pool {
        const NodeMemory *node;
        const HugePool *pages;
        uint64_t now, used;
        uint64_t want;
        Key key;                        /* what wants that many */
        PoolMemo *memo;
        const Owned *owned;
        char text[24];                  /* of now */
        char name[64];
        char why[160];
} Pool;

/* ---- the knob ---- */

static unsigned log2_of(uint64_t bytes) {
        unsigned n = 0;

        for (; bytes > 1; bytes >>= 1)
                n++;
        return n;
}

unsigned policy_pool_index(unsigned node, uint64_t page_bytes) {
        return node << POOL_SIZE_BITS | log2_of(page_bytes);
}

static uint64_t persistent_pages(const HugePool *p) {
        return u64_sub(p->total_pages, p->surplus_pages);
}

int policy_pool_value(const Snapshot *snapshot, unsigned index, char **ret) {
        const NodeMemory *node = host_node(&snapshot->host, pool_node(index));

        for (size_t i = 0; node && i < node->n_pools; i++)
                if (node->pools[i].page_bytes == pool_page_bytes(index)) {
                        *ret = NULL;
                        return strprintf_to(ret, "%" PRIu64, persistent_pages(&node->pools[i]));
                }
        return -ENODATA;
}

/* As the kernel does it: what is surplus counts first, and what is in use stays, as surplus. */
static void set_persistent(HugePool *p, uint64_t pages) {
        uint64_t before = persistent_pages(p), total = p->total_pages, freed;

        if (pages >= before) {
                p->surplus_pages = u64_sub(p->surplus_pages, pages - before);
                p->total_pages = u64_add(pages, p->surplus_pages);
                p->free_pages = u64_add(p->free_pages, u64_sub(p->total_pages, total));
                return;
        }
        freed = MIN(p->free_pages, before - pages);
        p->free_pages -= freed;
        p->total_pages = u64_sub(total, freed);
        p->surplus_pages = u64_sub(p->total_pages, pages);
}

void policy_pool_note(Host *h, unsigned index, uint64_t pages, const HugePool *seen) {
        for (size_t i = 0; i < h->n_nodes; i++)
                for (size_t k = 0; h->nodes[i].id == pool_node(index) && k < h->nodes[i].n_pools; k++) {
                        HugePool *p = &h->nodes[i].pools[k];

                        if (p->page_bytes != pool_page_bytes(index))
                                continue;
                        if (seen)
                                *p = *seen;
                        else
                                set_persistent(p, pages);
                }
}

void policy_pool_started(State *s, unsigned index) {
        PoolMemo *memo;

        if (state_pool(s, index, &memo) >= 0)
                memo->under_way = true;
}

void policy_pool_ended(State *s, unsigned index, uint64_t now_usec, uint64_t asked, uint64_t got) {
        PoolMemo *memo;

        if (state_pool(s, index, &memo) < 0)
                return;
        memo->under_way = false;
        if (got >= asked) {
                memo->tries = 0;
                memo->retry_usec = 0;
                return;
        }
        memo->asked_pages = asked;
        memo->got_pages = got;
        memo->retry_usec = u64_add(now_usec, RETRY_USEC << MIN(memo->tries, RETRY_DOUBLINGS));
        memo->tries++;
}

static Knob knob_of(Pools *p, const Pool *pool) {
        return (Knob){
                .kind = ACTION_SET_HUGEPAGES, .index = pool->memo->index, .key = pool->key,
                .settings = &p->c->host, .name = pool->name, .current = pool->text,
                .adopted = p->c->state->hugepages_adopted,
                .skips = &p->skips,
        };
}

static int _printf_(4, 5) skip(Pools *p, const Pool *pool, SkipReason why, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        Knob k = knob_of(p, pool);
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        return policy_knob_skip(&k, why, "%s: %s", pool->name, text);
}

/* ---- what is wanted ---- */

static uint64_t pages_for(uint64_t bytes, uint64_t page_bytes) {
        return bytes / page_bytes + (bytes % page_bytes > 0);
}

/* The part of @bytes of the host that is @node's. */
static uint64_t share_of_node(const Pools *p, const NodeMemory *node, uint64_t bytes) {
        return u64_muldiv(bytes, node->total_bytes, p->memory_bytes);
}

static uint64_t amount(const Pools *p, Key key) {
        return setting_amount(&p->c->host, key, p->memory_bytes, 0);
}

/* For guests that are not here yet, in pages of this size: advised by their nodes. */
static uint64_t advised_pages(const Pools *p, const Pool *pool) {
        const Snapshot *s = p->c->snapshot;
        uint64_t bytes = 0;

        for (size_t i = 0; i < s->n_reservations; i++) {
                const Reservation *r = &s->reservations[i];

                if (r->hugepages && pool->pages->page_bytes == (r->hugepage_bytes ?: s->host.hugepage_bytes) &&
                    idset_contains(&r->nodes, pool->node->id))
                        bytes = u64_add(bytes, r->memory_bytes / MAX(idset_count(&r->nodes), 1U));
        }
        return pages_for(bytes, pool->pages->page_bytes);
}

static uint64_t original_pages(const Pool *pool) {
        uint64_t pages = pool->now;

        if (pool->owned)
                (void)parse_u64(pool->owned->original, &pages);
        return pages;
}

static uint64_t minimum_pages(const Pools *p, const Pool *pool) {
        if (p->c->host.values[KEY_HUGEPAGES_MINIMUM].automatic || pool->pages->page_bytes != p->page_bytes)
                return original_pages(pool);
        return pages_for(amount(p, KEY_HUGEPAGES_MINIMUM) / p->n_nodes, p->page_bytes);
}

/*
 * A guest that was advised takes its pages before it is there to be seen: what is in use more than before is of those
 * that were advised, unless another guest has come.
 */
static uint64_t advised_pages_left(const Pools *p, const Pool *pool) {
        uint64_t advised = advised_pages(p, pool);
        PoolMemo *m = pool->memo;

        if (advised == 0 || advised != m->advised_pages || p->n_guests != m->advised_guests)
                m->unadvised_pages = pool->used;
        m->unadvised_pages = MIN(m->unadvised_pages, pool->used);
        m->advised_pages = advised;
        m->advised_guests = p->n_guests;
        return u64_sub(advised, pool->used - m->unadvised_pages);
}

static void want_auto(const Pools *p, Pool *pool) {
        bool main_size = pool->pages->page_bytes == p->page_bytes;
        uint64_t spare = main_size ? pages_for(amount(p, KEY_HUGEPAGES_SPARE), p->page_bytes) : 0;
        uint64_t advised = advised_pages_left(p, pool), minimum = minimum_pages(p, pool);

        pool->want = u64_add(u64_add(pool->used, advised), spare);
        if (pool->want < minimum && !p->c->host.values[KEY_HUGEPAGES_MINIMUM].automatic)
                pool->key = KEY_HUGEPAGES_MINIMUM;
        pool->want = MAX(pool->want, minimum);
        (void)snprintf(pool->why, sizeof(pool->why),
                       "%" PRIu64 " are in use, %" PRIu64 " advised, %" PRIu64 " spare, and %" PRIu64
                       " is the least", pool->used, advised, spare, minimum);
}

static void want_fixed(const Pools *p, Pool *pool) {
        uint64_t pages = amount(p, KEY_HUGEPAGES_TARGET) / pool->pages->page_bytes;
        uint64_t place = 0;

        for (const NodeMemory *n = p->c->snapshot->host.nodes; n < pool->node; n++)
                place += n->total_bytes > 0;
        pool->key = KEY_HUGEPAGES_TARGET;
        pool->want = MAX(pages / p->n_nodes + (place < pages % p->n_nodes), pool->used);
        (void)snprintf(pool->why, sizeof(pool->why),
                       "hugepages.target is %" PRIu64 " pages on %" PRIu64 " nodes, %" PRIu64 " here are in use",
                       pages, p->n_nodes, pool->used);
}

/* Whether the policy has a say in this pool. */
static bool concerns(const Pools *p, const Pool *pool) {
        if (pool->pages->page_bytes == p->page_bytes)
                return true;
        return p->mode == HUGEPAGES_AUTO && (pool->now > 0 || advised_pages(p, pool) > 0);
}

/* ---- bounds of growth ---- */

/* What the kernel is making for pools of @node: some of it may be counted as free still. */
static uint64_t under_way_bytes(const Pools *p, const NodeMemory *node) {
        const State *s = p->c->state;
        uint64_t bytes = 0;

        for (size_t i = 0; i < node->n_pools; i++) {
                unsigned index = policy_pool_index(node->id, node->pools[i].page_bytes);
                const Owned *owned = state_find_owned(s, ACTION_SET_HUGEPAGES, "", index);
                uint64_t asked;

                if (owned && state_pool_is_under_way(s, index) && parse_u64(owned->ours, &asked) >= 0)
                        bytes = u64_add(bytes, u64_muldiv(u64_sub(asked, persistent_pages(&node->pools[i])),
                                                          node->pools[i].page_bytes, 1));
        }
        return bytes;
}

/* Pages that the node can give, beside what its other pools are to get. */
static uint64_t room_pages(const Pools *p, const Pool *pool) {
        uint64_t kept = u64_add(share_of_node(p, pool->node, p->reserve_bytes),
                                share_of_node(p, pool->node, p->promised_bytes));
        uint64_t room = u64_sub(pool->node->free_bytes, u64_add(kept, p->coming_bytes)), taken = p->coming_bytes;
        uint64_t most;

        most = share_of_node(p, pool->node, amount(p, KEY_HUGEPAGES_MAXIMUM));
        for (size_t i = 0; i < pool->node->n_pools; i++)
                taken = u64_add(taken, u64_muldiv(pool->node->pools[i].total_pages,
                                                  pool->node->pools[i].page_bytes, 1));
        return MIN(room, u64_sub(most, taken)) / pool->pages->page_bytes;
}

static int set_pages(Pools *p, const Pool *pool, uint64_t pages) {
        Knob k = knob_of(p, pool);
        char text[24];

        (void)snprintf(text, sizeof(text), "%" PRIu64, pages);
        return policy_knob_set(p->c, &k, text, pool->why);
}

static int grow(Pools *p, Pool *pool) {
        uint64_t now_usec = p->c->snapshot->now_usec, size = pool->pages->page_bytes;
        uint64_t room = room_pages(p, pool), step = MAX(STEP_BYTES / size, UINT64_C(1));
        uint64_t more = MIN(MIN(pool->want - pool->now, room), step);
        char free_text[FORMAT_BYTES_MAX], kept[FORMAT_BYTES_MAX], promised[FORMAT_BYTES_MAX];
        int r = 0;

        pool->memo->idle_since_usec = 0;
        if (pool->memo->retry_usec > now_usec)
                return skip(p, pool, SKIP_NO_CAPACITY,
                            "the kernel had %" PRIu64 " of %" PRIu64 ": the node's memory is fragmented or in use; "
                            "tried again in %" PRIu64 " s", pool->memo->got_pages, pool->memo->asked_pages,
                            (pool->memo->retry_usec - now_usec) / USEC_PER_SEC + 1);
        if (room < pool->want - pool->now)
                r = skip(p, pool, SKIP_NO_CAPACITY,
                         "%" PRIu64 " are wanted and there is room for %" PRIu64 " more: %s are free on the node%s, "
                         "%s of the host are reserved, %s promised to guests, and hugepages.maximum has to hold",
                         pool->want, room,
                         format_bytes_short(u64_sub(pool->node->free_bytes, p->coming_bytes), free_text),
                         p->coming_bytes > 0 ? " beside what its other pools get" : "",
                         format_bytes_short(p->reserve_bytes, kept), format_bytes_short(p->promised_bytes, promised));
        if (r < 0 || more == 0)
                return r;
        p->coming_bytes = u64_add(p->coming_bytes, u64_muldiv(more, size, 1));
        return set_pages(p, pool, pool->now + more);
}

/* A time after now was noted before a reboot. */
static int shrink(Pools *p, Pool *pool) {
        uint64_t now_usec = p->c->snapshot->now_usec, dwell = setting(&p->c->host, KEY_HUGEPAGES_DWELL);

        if (pool->memo->idle_since_usec == 0 || pool->memo->idle_since_usec > now_usec)
                pool->memo->idle_since_usec = MAX(now_usec, UINT64_C(1));
        if (p->mode == HUGEPAGES_AUTO && now_usec - pool->memo->idle_since_usec < dwell)
                return 0;
        return set_pages(p, pool, pool->want);
}

/* ---- one pool ---- */

bool policy_pool_between(const Owned *owned, const char *current) {
        uint64_t now, original, ours;

        return parse_u64(current, &now) >= 0 && parse_u64(owned->original, &original) >= 0 &&
               parse_u64(owned->ours, &ours) >= 0 && now >= MIN(original, ours) && now <= MAX(original, ours);
}

/* The process that wrote the record ended while the kernel was at it: what is there now is ours. */
static int adopt(Pools *p, const Pool *pool) {
        Owned *owned = state_find_owned(p->c->state, ACTION_SET_HUGEPAGES, "", pool->memo->index);

        if (!owned || !p->c->state->hugepages_adopted || streq(owned->original, pool->text) ||
            !policy_pool_between(owned, pool->text))
                return 0;
        return strdup_to(&owned->ours, pool->text);
}

static int check(Pools *p, const Pool *pool, bool *ret_taken) {
        Knob k = knob_of(p, pool);
        bool taken = pool->memo->taken;
        int r;

        r = adopt(p, pool);
        if (r >= 0)
                r = policy_knob_check(p->c, &k, &taken);
        pool->memo->taken = taken;
        *ret_taken = taken;
        return r;
}

static int decide_pool(Pools *p, Pool *pool) {
        Knob k = knob_of(p, pool);
        bool was_taken = pool->memo->taken, taken;
        int r;

        if (pool->memo->under_way)
                return 0;
        r = check(p, pool, &taken);
        if (r < 0)
                return r;
        pool->owned = state_find_owned(p->c->state, ACTION_SET_HUGEPAGES, "", pool->memo->index);
        if (p->mode == HUGEPAGES_KEEP || !concerns(p, pool))
                return policy_knob_give_back(p->c, &k);
        if (taken)
                return !was_taken ? 0 : skip(p, pool, SKIP_TAKEN_OVER, "changed by somebody else, left alone until "
                                             "the next reload");
        if (p->mode == HUGEPAGES_AUTO)
                want_auto(p, pool);
        else
                want_fixed(p, pool);
        if (pool->want > pool->now)
                return grow(p, pool);
        if (pool->want < pool->now)
                return shrink(p, pool);
        pool->memo->idle_since_usec = 0;
        return 0;
}

static int look_at_pool(Pools *p, const NodeMemory *node, const HugePool *pages) {
        char size[FORMAT_BYTES_MAX];
        Pool pool = { .node = node, .pages = pages, .now = persistent_pages(pages), .key = KEY_HUGEPAGES_MODE };
        int r;

        if (pages->page_bytes == 0 || node->total_bytes == 0)
                return 0;
        r = state_pool(p->c->state, policy_pool_index(node->id, pages->page_bytes), &pool.memo);
        if (r < 0)
                return r;
        /* What is surplus is in use, and goes by itself. */
        pool.used = u64_sub(u64_sub(pages->total_pages, pages->free_pages), pages->surplus_pages);
        (void)snprintf(pool.text, sizeof(pool.text), "%" PRIu64, pool.now);
        (void)snprintf(pool.name, sizeof(pool.name), "the number of pages of %s on node %u",
                       format_bytes_short(pages->page_bytes, size), node->id);
        return decide_pool(p, &pool);
}

/* ---- the whole ---- */

/* What guests whose memory is in ordinary pages may still touch. */
static uint64_t promised_to_guests(const Snapshot *s) {
        uint64_t bytes = 0;

        for (size_t i = 0; i < s->n_guests; i++) {
                const Guest *g = s->guests[i];

                if (!g->hugepages && g->current_bytes != UNKNOWN_U64 && g->rss_bytes != UNKNOWN_U64)
                        bytes = u64_add(bytes, u64_sub(g->current_bytes, g->rss_bytes));
        }
        return bytes;
}

static void init(Pools *p) {
        const Host *h = &p->c->snapshot->host;

        p->page_bytes = setting_amount(&p->c->host, KEY_HUGEPAGES_SIZE, 0, h->hugepage_bytes);
        for (size_t i = 0; i < h->n_nodes; i++) {
                p->memory_bytes = u64_add(p->memory_bytes, h->nodes[i].total_bytes);
                p->n_nodes += h->nodes[i].total_bytes > 0;
        }
        for (size_t i = 0; i < p->c->snapshot->n_guests; i++)
                p->n_guests += p->c->snapshot->guests[i]->hugepages;
        p->promised_bytes = promised_to_guests(p->c->snapshot);
        p->reserve_bytes = policy_host_reserve(p->c);
}

static bool has_size(const Host *h, uint64_t page_bytes) {
        for (size_t i = 0; i < h->n_nodes; i++)
                for (size_t j = 0; j < h->nodes[i].n_pools; j++)
                        if (h->nodes[i].pools[j].page_bytes == page_bytes)
                                return true;
        return false;
}

static int look_at_all(Pools *p) {
        const Host *h = &p->c->snapshot->host;
        char size[FORMAT_BYTES_MAX];
        int r = 0;

        for (size_t i = 0; i < h->n_nodes && r >= 0; i++) {
                p->coming_bytes = under_way_bytes(p, &h->nodes[i]);
                for (size_t j = 0; j < h->nodes[i].n_pools && r >= 0; j++)
                        r = look_at_pool(p, &h->nodes[i], &h->nodes[i].pools[j]);
        }
        if (r >= 0 && p->mode != HUGEPAGES_KEEP && !has_size(h, p->page_bytes))
                r = plan_add_skip(p->c->plan, ACTION_SET_HUGEPAGES, NULL, SKIP_UNAVAILABLE,
                                  "the kernel has no huge pages of %s", format_bytes_short(p->page_bytes, size));
        else if (r >= 0)
                r = policy_knob_flush(p->c, ACTION_SET_HUGEPAGES, NULL, &p->skips);
        return r;
}

static bool owns_any(const State *s) {
        for (size_t i = 0; i < s->n_owned; i++)
                if (s->owned[i].kind == ACTION_SET_HUGEPAGES)
                        return true;
        return false;
}

int policy_hugepages(PolicyContext *c) {
        Pools p = { .c = c, .mode = (HugepagesMode)setting(&c->host, KEY_HUGEPAGES_MODE) };
        int r;

        if (c->only_uuid || (p.mode == HUGEPAGES_KEEP && !owns_any(c->state)))
                return 0;
        init(&p);
        r = look_at_all(&p);
        c->state->hugepages_adopted = false;
        policy_knob_skips_done(&p.skips);
        return r;
}
