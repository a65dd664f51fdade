/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "virt_internal.h"

#include <libvirt/virterror.h>

#define TEXT_MAX 512U

static void ignore(void *opaque _unused_, virErrorPtr error _unused_) {}

void virt_error_silence(void) {
        virSetErrorFunc(NULL, ignore);
}

static int errno_of(int code) {
        switch (code) {
        case VIR_ERR_NO_DOMAIN:
                return -ENOENT;
        case VIR_ERR_OPERATION_INVALID:
                return -EPERM;
        case VIR_ERR_INVALID_ARG:
                return -EINVAL;
        case VIR_ERR_OPERATION_TIMEOUT:
                return -ETIMEDOUT;
        case VIR_ERR_OPERATION_UNSUPPORTED:
        case VIR_ERR_NO_SUPPORT:
        case VIR_ERR_ARGUMENT_UNSUPPORTED:
        case VIR_ERR_CONFIG_UNSUPPORTED:
                return -EOPNOTSUPP;
        case VIR_ERR_ACCESS_DENIED:
        case VIR_ERR_AUTH_FAILED:
        case VIR_ERR_AUTH_CANCELLED:
        case VIR_ERR_AUTH_UNAVAILABLE:
                return -EACCES;
        case VIR_ERR_NO_MEMORY:
                return -ENOMEM;
        default:
                return -EIO;
        }
}

int virt_error_take(char **text) {
        virErrorPtr error = virGetLastError();
        char *copy;
        int code;

        if (!error)
                return -EIO;
        code = error->code;
        copy = error->message ? strndup(error->message, TEXT_MAX - 1) : NULL;
        virResetLastError();
        if (copy) {
                free(*text);
                *text = copy;
        }
        return errno_of(code);
}
