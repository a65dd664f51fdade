/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor_internal.h"

static const char *const severities[] = { "notice", "warning", "problem" };
DEFINE_STRING_TABLE(doctor_severity, DoctorSeverity, severities)

static const char *const results[] = { "unknown", "fine", "found" };
DEFINE_STRING_TABLE(doctor_result, DoctorResult, results)

static int add_guest(DoctorCheck *c, const DrawGuest *g, char *detail) {
        DoctorGuest *at;
        int r;

        r = GROW_ARRAY(c->guests, c->guests_capacity, c->n_guests);
        if (r < 0)
                return r;
        at = &c->guests[c->n_guests];
        r = strdup_to(&at->name, g->name);
        if (r < 0)
                return r;
        memcpy(at->uuid, g->guest->uuid, sizeof(at->uuid));
        at->detail = detail;
        c->n_guests++;
        return 0;
}

/* Found of one is found; fine of one and unknown of the others is as much as can be said. */
static int examine_guests(const Doctor *d, const CheckInfo *info, DoctorCheck *c) {
        for (size_t i = 0; i < d->drawing->n_guests; i++) {
                _cleanup_free_ char *detail = NULL;
                int r;

                r = info->guest(d, &d->drawing->guests[i], &detail);
                if (r < 0)
                        return r;
                c->result = MAX(c->result, (DoctorResult)r);
                if (r != DOCTOR_FOUND)
                        continue;
                r = add_guest(c, &d->drawing->guests[i], detail);
                if (r < 0)
                        return r;
                TAKE_PTR(detail);
        }
        if (d->drawing->n_guests == 0)
                c->result = DOCTOR_FINE;
        return 0;
}

static int examine(const Doctor *d, const CheckInfo *info, DoctorCheck *c) {
        int r;

        *c = (DoctorCheck){ .id = info->id, .severity = info->severity, .of_guests = info->guest, .what = info->what,
                            .why = info->why, .todo = info->todo };
        if (info->guest)
                return examine_guests(d, info, c);
        r = info->host(d, &c->detail);
        if (r < 0)
                return r;
        c->result = (DoctorResult)r;
        return 0;
}

int doctor_examine(const Snapshot *s, const State *state, const Config *config, Diagnosis **ret) {
        _cleanup_(drawing_freep) Drawing *drawing = NULL;
        _cleanup_(diagnosis_freep) Diagnosis *d = NULL;
        Doctor doctor = { .s = s, .config = config };
        int r;

        r = drawing_new(s, state, config, &drawing);
        if (r < 0)
                return r;
        doctor.drawing = drawing;
        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->checks = calloc(n_doctor_checks, sizeof(*d->checks));
        if (!d->checks)
                return -ENOMEM;
        for (; d->n_checks < n_doctor_checks; d->n_checks++) {
                r = examine(&doctor, &doctor_checks[d->n_checks], &d->checks[d->n_checks]);
                if (r < 0) {
                        d->n_checks++;
                        return r;
                }
        }
        *ret = TAKE_PTR(d);
        return 0;
}

Diagnosis *diagnosis_free(Diagnosis *d) {
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_checks; i++) {
                DoctorCheck *c = &d->checks[i];

                for (size_t k = 0; k < c->n_guests; k++) {
                        free(c->guests[k].name);
                        free(c->guests[k].detail);
                }
                free(c->guests);
                free(c->detail);
        }
        free(d->checks);
        free(d);
        return NULL;
}

int diagnosis_status(const Diagnosis *d) {
        int status = 0;

        for (size_t i = 0; i < d->n_checks; i++)
                if (d->checks[i].result == DOCTOR_FOUND)
                        status = MAX(status, (int)d->checks[i].severity);
        return status;
}
