/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_queue.h"

int virt_message_new(VirtMessageType type, const char *uuid, const char *text, VirtMessage **ret) {
        _cleanup_(virt_message_freep) VirtMessage *m = NULL;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->type = type;
        if (uuid)
                memcpy(m->uuid, uuid, strnlen(uuid, UUID_TEXT_SIZE - 1));
        r = strdup_to(&m->text, text);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

VirtMessage *virt_message_free(VirtMessage *m) {
        if (!m)
                return NULL;
        (void)guest_free(m->guest);
        free(m->text);
        free(m->stats);
        free(m);
        return NULL;
}

int virt_request_new(VirtRequestType type, const char (*uuids)[UUID_TEXT_SIZE], size_t n, VirtRequest **ret) {
        static const VirtLane lanes[] = {
                [VIRT_REQUEST_CALL] = VIRT_LANE_NORMAL,
                [VIRT_REQUEST_STATS] = VIRT_LANE_BACKGROUND,
                [VIRT_REQUEST_REFRESH] = VIRT_LANE_NORMAL,
                [VIRT_REQUEST_LISTED] = VIRT_LANE_BACKGROUND,
        };
        VirtRequest *r;

        for (size_t i = 0; i < n; i++)
                if (!memchr(uuids[i], 0, UUID_TEXT_SIZE))
                        return -EINVAL;
        r = calloc(1, sizeof(*r) + n * UUID_TEXT_SIZE);
        if (!r)
                return -ENOMEM;
        r->type = type;
        r->lane = lanes[type];
        r->n_uuids = n;
        if (n > 0)
                memcpy(r->uuids, uuids, n * UUID_TEXT_SIZE);
        *ret = r;
        return 0;
}

int virt_request_new_call(const VirtCall *call, VirtRequest **ret) {
        _cleanup_(virt_request_freep) VirtRequest *request = NULL;
        int r;

        r = virt_request_new(VIRT_REQUEST_CALL, &call->uuid, 1, &request);
        if (r < 0)
                return r;
        request->call = malloc(sizeof(*call));
        if (!request->call)
                return -ENOMEM;
        *request->call = *call;
        if (call->cookie != 0) {
                r = virt_message_new(VIRT_DONE, call->uuid, NULL, &request->reply);
                if (r < 0)
                        return r;
                request->reply->cookie = call->cookie;
        }
        *ret = TAKE_PTR(request);
        return 0;
}

int virt_request_new_stats(const char (*uuids)[UUID_TEXT_SIZE], size_t n, bool reply, uint64_t cookie,
                           VirtRequest **ret) {
        _cleanup_(virt_request_freep) VirtRequest *request = NULL;
        int r;

        if (n > VIRT_STATS_CHUNK)
                return -EINVAL;
        r = virt_request_new(VIRT_REQUEST_STATS, uuids, n, &request);
        if (r < 0)
                return r;
        if (reply) {
                r = virt_message_new(VIRT_STATS, NULL, NULL, &request->reply);
                if (r < 0)
                        return r;
                request->reply->cookie = cookie;
        }
        *ret = TAKE_PTR(request);
        return 0;
}

VirtRequest *virt_request_free(VirtRequest *r) {
        if (!r)
                return NULL;
        (void)virt_message_free(r->reply);
        free(r->call);
        free(r);
        return NULL;
}

VirtRequest *virt_request_free_all(VirtRequest *r) {
        while (r) {
                VirtRequest *next = r->next;

                (void)virt_request_free(r);
                r = next;
        }
        return NULL;
}
