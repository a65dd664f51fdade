# bash completion for kvmtunectl                            -*- shell-script -*-
# SPDX-License-Identifier: LGPL-2.1-or-later

_kvmtunectl_names() { kvmtunectl "$1" --json 2>/dev/null | sed -n "s/^ *\"$2\": \"\(.*\)\",*$/\1/p" | sort -u; }

_kvmtunectl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
    local verbs='status guests explain plan rules settings log topology doctor monitor snapshot set unset pause resume reload restore'
    local options='-g --guest -a --all -n --lines -j --json -H --host -s --snapshot -c --config -S --state --svg --no-pager -h --help --version'

    COMPREPLY=()
    case $prev in
        -g | --guest) mapfile -t COMPREPLY < <(compgen -W "$(_kvmtunectl_names guests name)" -- "$cur"); return ;;
        -s | --snapshot | -c | --config | -S | --state) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -H | --host) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur"); return ;;
        -n | --lines) return ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -g | --guest | -s | --snapshot | -c | --config | -S | --state | -H | --host | -n | --lines) i=$((i + 1)) ;;
            -*) ;;
            *) verb=${COMP_WORDS[i]}; break ;;
        esac
    done
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [ -z "$verb" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
    elif [[ $prev == "$verb" ]]; then
        case $verb in
            explain | settings | log) mapfile -t COMPREPLY < <(compgen -W "$(_kvmtunectl_names guests name)" -- "$cur") ;;
            set | unset) mapfile -t COMPREPLY < <(compgen -W "$(_kvmtunectl_names settings key)" -- "$cur") ;;
        esac
    fi
}
complete -F _kvmtunectl kvmtunectl
