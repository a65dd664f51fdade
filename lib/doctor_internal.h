/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the table of checks and what runs them. */

#include "doctor.h"
#include "draw_internal.h"

typedef struct Doctor {
        const Snapshot *s;
        const Config *config;   /* NULL: not known */
        const Drawing *drawing; /* where guests are */
} Doctor;

/* One of the two is set. *ret_detail may be set when something was found; -ENOMEM. */
typedef struct CheckInfo {
        const char *id;
        DoctorSeverity severity;
        int (*host)(const Doctor *d, char **ret_detail);
        int (*guest)(const Doctor *d, const DrawGuest *g, char **ret_detail);
        const char *what, *why, *todo;
} CheckInfo;

extern const CheckInfo doctor_checks[];
extern const size_t n_doctor_checks;

/* doctor_host.c */
int check_no_virtualization(const Doctor *d, char **ret_detail);
int check_no_kvm(const Doctor *d, char **ret_detail);
int check_kvm_access(const Doctor *d, char **ret_detail);
int check_read_only(const Doctor *d, char **ret_detail);
int check_nested_off(const Doctor *d, char **ret_detail);
int check_nested_exposed(const Doctor *d, char **ret_detail);
int check_cgroup(const Doctor *d, char **ret_detail);
int check_pressure(const Doctor *d, char **ret_detail);
int check_governor(const Doctor *d, char **ret_detail);
int check_clocksource(const Doctor *d, char **ret_detail);
int check_managers(const Doctor *d, char **ret_detail);
int check_balancing(const Doctor *d, char **ret_detail);

/* doctor_memory.c */
int check_no_swap(const Doctor *d, char **ret_detail);
int check_overcommit(const Doctor *d, char **ret_detail);
int check_pages_unused(const Doctor *d, char **ret_detail);
int check_pages_short(const Doctor *d, char **ret_detail);
int check_thp_never(const Doctor *d, char **ret_detail);
int check_thp_stalls(const Doctor *d, char **ret_detail);
int check_ksm_across(const Doctor *d, char **ret_detail);
int check_ksm_balancing(const Doctor *d, char **ret_detail);
int check_ksm_profit(const Doctor *d, char **ret_detail);
int check_ksm_classes(const Doctor *d, char **ret_detail);

/* doctor_guest.c */
int check_guest_emulated(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_cpu(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_passthrough(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_machine(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_devices(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_balloon(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_driver(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_stale_driver(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_stats(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_agent(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_agent_down(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_remote(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_waits(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_memory(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_unreachable(const Doctor *d, const DrawGuest *g, char **ret_detail);
int check_guest_crashed(const Doctor *d, const DrawGuest *g, char **ret_detail);
