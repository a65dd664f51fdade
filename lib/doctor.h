/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An audit of a host and its guests: what is set up in a way that costs speed,
 * memory, safety or kvmtuned's own work, why that matters, and what to do about
 * it. Pure: it looks at a snapshot, so that a host can be examined elsewhere.
 *
 * A check whose facts the snapshot does not have is "unknown", never "fine".
 */

#include "config.h"
#include "snapshot.h"
#include "state.h"

typedef enum DoctorSeverity {
        DOCTOR_NOTICE,          /* worth knowing; nothing is wrong */
        DOCTOR_WARNING,         /* costs something */
        DOCTOR_PROBLEM,         /* something does not work */
        _DOCTOR_SEVERITY_MAX,
        _DOCTOR_SEVERITY_INVALID = -EINVAL,
} DoctorSeverity;
DECLARE_STRING_TABLE(doctor_severity, DoctorSeverity);

typedef enum DoctorResult {
        DOCTOR_UNKNOWN,         /* the snapshot does not say */
        DOCTOR_FINE,
        DOCTOR_FOUND,
        _DOCTOR_RESULT_MAX,
        _DOCTOR_RESULT_INVALID = -EINVAL,
} DoctorResult;
DECLARE_STRING_TABLE(doctor_result, DoctorResult);

typedef struct DoctorGuest {
        char *name;
        char uuid[UUID_TEXT_SIZE];
        char *detail;           /* NULL: none */
} DoctorGuest;

/* What came of one check. The texts that do not belong to it are constants. */
typedef struct DoctorCheck {
        const char *id;         /* "guest-no-agent"; kvmtuned-doctor(7) lists them */
        DoctorSeverity severity;
        DoctorResult result;
        bool of_guests;
        const char *what, *why, *todo;
        char *detail;           /* of the host; NULL: none */
        DoctorGuest *guests;    /* those it was found of */
        size_t n_guests, guests_capacity;
} DoctorCheck;

typedef struct Diagnosis {
        DoctorCheck *checks;    /* every one there is, always in the same order */
        size_t n_checks;
} Diagnosis;

/* @state and @config may be NULL: what rests on them is then unknown. -ENOMEM, -ENODATA: no topology. */
int doctor_examine(const Snapshot *s, const State *state, const Config *config, Diagnosis **ret);
Diagnosis *diagnosis_free(Diagnosis *d);
DEFINE_CLEANUP(Diagnosis, diagnosis_free)

/* 0: nothing, or notices only; 1: warnings; 2: problems. */
int diagnosis_status(const Diagnosis *d);

/*
 * For people, the worst first, in lines of @width columns; with @all also what
 * is fine and what is not known. Or one JSON object with all of it.
 */
int diagnosis_format(const Diagnosis *d, unsigned width, bool all, char **ret);
int diagnosis_format_json(const Diagnosis *d, char **ret);
