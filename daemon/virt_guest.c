/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest as libvirt has it now: its live XML and its state, both answered from
 * libvirtd's memory. Whether a job runs and whether it is persistent is asked
 * only when it may have changed.
 */
#include "virt_internal.h"
#include "virt_xml.h"

#include <libvirt/virterror.h>

static GuestState state_of(int state) {
        switch (state) {
        case VIR_DOMAIN_PAUSED:
                return GUEST_PAUSED;
        case VIR_DOMAIN_SHUTDOWN:
                return GUEST_SHUTDOWN;
        case VIR_DOMAIN_SHUTOFF:
                return _GUEST_STATE_INVALID;
        case VIR_DOMAIN_CRASHED:
                return GUEST_CRASHED;
        case VIR_DOMAIN_PMSUSPENDED:
                return GUEST_PMSUSPENDED;
        default:
                return GUEST_RUNNING;
        }
}

/* -1 is not kept: asked again next time. */
static bool fetch_persistent(VirtSession *s, virDomainPtr domain, const char *uuid) {
        int persistent = virt_domains_persistent(s->domains, uuid);

        if (persistent < 0) {
                persistent = virDomainIsPersistent(domain);
                virt_domains_set_persistent(s->domains, uuid, persistent);
        }
        return persistent > 0;
}

/*
 * libvirt calls a nodeset that was changed static until the guest is started anew; the definition still says whose
 * choice it was. Only where that is asked for: see policy_bound.c.
 */
static bool fetch_defined_auto(virDomainPtr domain, const Guest *g) {
        _cleanup_(guest_freep) Guest *defined = NULL;
        _cleanup_free_ char *xml = NULL;

        if (!g->persistent || !g->vcpu_placement_auto || g->numatune_placement_auto ||
            g->numatune_mode != NUMATUNE_RESTRICTIVE)
                return false;
        xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE);
        return xml && guest_from_xml(xml, strlen(xml), &defined) >= 0 && defined->numatune_placement_auto;
}

static bool fetch_migrating(VirtSession *s, virDomainPtr domain, const VirtRequest *request, int state, int reason) {
        const char *uuid = request->uuids[0];
        bool migrating, remembered = virt_domains_migrating(s->domains, uuid);
        virDomainJobInfo job;

        migrating = state == VIR_DOMAIN_PAUSED &&
                    (reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_POSTCOPY);
        /* With a job under way, this is a question to the monitor. */
        if (!migrating && request->hung)
                migrating = remembered;
        else if (!migrating && (request->job || remembered))
                migrating = virDomainGetJobInfo(domain, &job) >= 0 &&
                            (job.type == VIR_DOMAIN_JOB_BOUNDED || job.type == VIR_DOMAIN_JOB_UNBOUNDED);
        virt_domains_set_migrating(s->domains, uuid, migrating);
        return migrating;
}

static int message_gone(const VirtRequest *request, int result, const char *text, VirtMessage **ret) {
        int r;

        r = virt_message_new(VIRT_GUEST_GONE, request->uuids[0], text, ret);
        if (r >= 0)
                (*ret)->result = result;
        return r;
}

static int message_guest(const VirtRequest *request, Guest **guest, VirtMessage **ret) {
        VirtMessage *m;
        int r;

        r = virt_message_new(VIRT_GUEST, request->uuids[0], request->event, &m);
        if (r < 0)
                return r;
        m->guest = TAKE_PTR(*guest);
        m->event_usec = request->event_usec;
        *ret = m;
        return 0;
}

/* XML that cannot be read is a guest that cannot be looked after: say so and go on. */
static int parse_guest(const VirtRequest *request, const char *xml, Guest **ret, VirtMessage **ret_gone) {
        int r;

        r = guest_from_xml(xml, strlen(xml), ret);
        if (r >= 0 && !streq((*ret)->uuid, request->uuids[0])) {
                *ret = guest_free(*ret);
                r = -EBADMSG;
        }
        if (r == -EBADMSG || r == -ERANGE)
                return message_gone(request, r, "its XML cannot be read", ret_gone) < 0 ? -ENOMEM : r;
        return r;
}

static int fetch(VirtSession *s, virDomainPtr domain, const VirtRequest *request, VirtMessage **ret, char **text) {
        _cleanup_(guest_freep) Guest *guest = NULL;
        _cleanup_free_ char *xml = NULL;
        int state, reason, r;

        xml = virDomainGetXMLDesc(domain, 0);
        if (!xml || virDomainGetState(domain, &state, &reason, 0) < 0)
                return virt_error_take(text);
        if (state_of(state) < 0)
                return message_gone(request, 0, "stopped", ret);
        r = parse_guest(request, xml, &guest, ret);
        if (*ret)
                return 0;
        if (r < 0)
                return r;
        guest->state = state_of(state);
        guest->migrating = fetch_migrating(s, domain, request, state, reason);
        guest->persistent = fetch_persistent(s, domain, request->uuids[0]);
        guest->numatune_defined_auto = fetch_defined_auto(domain, guest);
        return message_guest(request, &guest, ret);
}

static int find_and_fetch(VirtSession *s, const VirtRequest *request, VirtMessage **ret, char **text) {
        _cleanup_(virt_domain_freep) virDomainPtr domain = NULL;

        domain = virt_session_domain(s, request->uuids[0]);
        if (!domain)
                return virt_error_take(text);
        return fetch(s, domain, request, ret, text);
}

int virt_guest_fetch(VirtSession *s, const VirtRequest *request, VirtMessage **ret, char **text) {
        VirtMessage *m = NULL;
        int r;

        r = find_and_fetch(s, request, &m, text);
        if (r == -ENOENT)
                r = message_gone(request, 0, "stopped", &m);
        if (r < 0)
                return r;
        if (m->type == VIRT_GUEST_GONE)
                virt_domains_drop(s->domains, request->uuids[0]);
        *ret = m;
        return 0;
}
