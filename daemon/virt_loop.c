/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The thread of libvirt's default event loop, and the watch over hung calls.
 *
 * The watch is one libvirt timer, armed by the worker when it begins to work
 * and nobody watches yet, and disarmed by itself when it runs out and finds the
 * worker idle. An idle daemon therefore never wakes for it; a busy one does so
 * once in VIRT_CALL_TIMEOUT_USEC. Arming wakes the loop, but so does every call
 * that libvirt makes (it takes the socket away from the loop and gives it back).
 */
#include "virt_internal.h"

#include <time.h>

static void register_default_loop(void) {
        (void)virEventRegisterDefaultImpl();
}

/* libvirt's event loop is one of the process; registering it twice leaks. */
static void register_once(void) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        (void)pthread_once(&once, register_default_loop);
}

void virt_loop_arm(Virt *v, uint64_t usec) {
        virEventUpdateTimeout(v->timer, (int)(usec / USEC_PER_MSEC) + 1);
}

/* Disarms first: virt_queue_watch() decides whether the worker may arm it again. */
static void on_timer(int timer, void *opaque) {
        Virt *v = opaque;
        uint64_t wait_usec;

        virEventUpdateTimeout(timer, -1);
        wait_usec = virt_queue_watch(v->queue, virt_now_usec());
        if (wait_usec == 0) {
                /* Without a thread for it, the next round tries again. */
                (void)virt_rpc_start(v, true);
                wait_usec = VIRT_CALL_TIMEOUT_USEC;
        }
        if (wait_usec != VIRT_WATCH_IDLE)
                virt_loop_arm(v, wait_usec);
}

static void *loop_main(void *p) {
        const struct timespec pause = { .tv_nsec = 100L * 1000 * 1000 };
        Virt *v = p;

        (void)pthread_setname_np(pthread_self(), "virt-loop");
        while (!__atomic_load_n(&v->loop_stop, __ATOMIC_ACQUIRE))
                if (virEventRunDefaultImpl() < 0)
                        (void)nanosleep(&pause, NULL);
        return NULL;
}

int virt_loop_start(Virt *v) {
        int r;

        register_once();
        v->timer = virEventAddTimeout(-1, on_timer, v, NULL);
        if (v->timer < 0)
                return -EIO;
        r = pthread_create(&v->loop, NULL, loop_main, v);
        if (r != 0) {
                (void)virEventRemoveTimeout(v->timer);
                return -r;
        }
        return 0;
}

void virt_loop_stop(Virt *v) {
        __atomic_store_n(&v->loop_stop, true, __ATOMIC_RELEASE);
        virEventUpdateTimeout(v->timer, 0);
        (void)pthread_join(v->loop, NULL);
        (void)virEventRemoveTimeout(v->timer);
}
