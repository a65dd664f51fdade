# bash completion for kvmtunectl                            -*- shell-script -*-
# SPDX-License-Identifier: LGPL-2.1-or-later

# Nobody is to be asked for a password by a TAB: not by polkit, nor by ssh. Names with a quote or a backslash in
# them are left out.
_kvmtunectl_names() {
    [ -z "$host" ] || return
    kvmtunectl "${source[@]}" --no-ask-password "$1" --json 2>/dev/null </dev/null |
        sed -n "s/^ *\"$2\": \"\([^\"\\\\]*\)\",*$/\1/p" | sort -u
}

# Of the lines on standard input those that begin as $cur does, quoted. compgen -W would expand what stands in
# them, and a guest may be called $(reboot).
_kvmtunectl_offer() {
    local line quoted
    while IFS= read -r line; do
        printf -v quoted %q "$line"
        [[ $line != "$cur"* && $quoted != "$cur"* ]] || COMPREPLY+=("$quoted")
    done
}

_kvmtunectl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' host='' i option value
    local verbs='status guests explain plan rules settings log topology doctor monitor snapshot set unset pause resume reload restore'
    local options='-g --guest -a --all -n --lines -j --json -H --host -s --snapshot -c --config -S --state --svg --no-pager --no-ask-password -h --help --version'
    local -a source=()

    COMPREPLY=()
    # --option=value is three words.
    [[ $cur != '=' ]] || cur='' i=1
    [[ $prev != '=' ]] || i=2
    [ -z "${i:-}" ] || prev=${COMP_WORDS[COMP_CWORD - i]}
    for ((i = 1; i < COMP_CWORD; i++)); do
        option=${COMP_WORDS[i]}
        case $option in
            -g | --guest | -s | --snapshot | -c | --config | -S | --state | -H | --host | -n | --lines) ;;
            -*) continue ;;
            *) verb=$option; break ;;
        esac
        [[ ${COMP_WORDS[i + 1]:-} != '=' ]] || i=$((i + 1))
        i=$((i + 1))
        value=${COMP_WORDS[i]:-}
        case $option in
            -s | --snapshot | -c | --config | -S | --state) source+=("$option" "${value/#\~\//$HOME/}") ;;
            -H | --host) host=$value ;;
        esac
    done
    case $prev in
        -g | --guest) _kvmtunectl_offer < <(_kvmtunectl_names guests name); return ;;
        -s | --snapshot | -c | --config | -S | --state)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
            return ;;
        -H | --host) mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur"); return ;;
        -n | --lines) return ;;
    esac
    if [[ $cur == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
    elif [ -z "$verb" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$cur")
    elif [[ $prev == "$verb" ]]; then
        case $verb in
            explain | settings | log) _kvmtunectl_offer < <(_kvmtunectl_names guests name) ;;
            set | unset) _kvmtunectl_offer < <(_kvmtunectl_names settings key) ;;
        esac
    fi
}
complete -F _kvmtunectl kvmtunectl
