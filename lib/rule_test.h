/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An administrator's test of a policy file, kvmtuned-test(5): a story of
 * instants, each a small snapshot, and what is expected at each of them.
 */

#include "config.h"
#include "snapshot.h"

typedef enum ExpectType {
        EXPECT_ACTIVE,          /* the rule holds; of rules on guests' metrics: for any guest */
        EXPECT_INACTIVE,
        EXPECT_SETTING,         /* of the host, or of the guest named */
} ExpectType;

typedef struct Expectation {
        ExpectType type;
        char *rule;             /* EXPECT_ACTIVE, _INACTIVE */
        char *guest;            /* EXPECT_SETTING: its name; NULL: the host's */
        Key key;
        SettingValue value;     /* file and line: where it is expected; text: owned */
        char *text;
        unsigned line;
} Expectation;

typedef struct RuleStep {
        Snapshot *snapshot;
        Expectation *expectations;
        size_t n_expectations, expectations_capacity;
        unsigned line;
} RuleStep;

typedef struct RuleTest {
        char *name;
        RuleStep *steps;
        size_t n_steps, steps_capacity;
        unsigned line;
} RuleTest;

typedef struct RuleTests {
        char *config;           /* path of the policy file, below the folder of the tests; NULL: none is named */
        RuleTest *tests;
        size_t n_tests, tests_capacity;
} RuleTests;

/*
 * Strict, as the other loaders: -EBADMSG with lines "file:line: ..." in
 * *ret_error (set on every failure but -ENOMEM), or the errno of reading. Rule
 * names are not held against any policy file.
 */
int rule_tests_load(const char *path, RuleTests **ret, char **ret_error);
RuleTests *rule_tests_free(RuleTests *t);
DEFINE_CLEANUP(RuleTests, rule_tests_free)
