#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a TAB completes, in bash and in zsh; and that a guest's name is never taken for a command.
set -u
cd "$(dirname "$0")/../.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=0 failed=0

is() { # is DESCRIPTION WANTED GOT
        n=$((n + 1))
        if [ "$2" = "$3" ]; then
                echo "ok $n - $1"
        else
                failed=1
                echo "not ok $n - $1"
                printf 'wanted: %s\n   got: %s\n' "$2" "$3" | sed 's/^/# /'
        fi
}

# In kvmtunectl's place: it writes down how it was asked.
mkdir "$tmp/bin"
cat >"$tmp/bin/kvmtunectl" <<'X'
#!/bin/sh
echo "$@" >>"$ASKED"
case " $* " in
*' guests '*) cat <<'Y' ;;
[
  {
    "name": "db-1",
    "state": "running"
  },
  {
    "name": "db 2"
  },
  {
    "name": "$(touch $ASKED.run)"
  },
  {
    "name": "`touch $ASKED.run`"
  },
  {
    "name": "a\"b"
  },
  {
    "name": "web"
  }
]
Y
*' settings '*) printf '[\n  {\n    "key": "ksm.mode",\n    "value": "on"\n  },\n  {\n    "key": "cpu.policy"\n  }\n]\n' ;;
esac
X
chmod +x "$tmp/bin/kvmtunectl"
export ASKED=$tmp/asked PATH=$tmp/bin:$PATH
. completion/kvmtunectl.bash

bash_offers() { # bash_offers WORD...: of the last of them
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _kvmtunectl
        printf '%s|' "${COMPREPLY[@]+"${COMPREPLY[@]}"}"
}
is 'bash: a verb' 'explain|' "$(bash_offers kvmtunectl ex)"
is 'bash: a verb after an option' 'settings|set|' "$(bash_offers kvmtunectl -g db-1 set)"
is 'bash: ... also as --option=value' 'settings|set|' "$(bash_offers kvmtunectl --guest = db-1 set)"
is 'bash: an option' '--snapshot|' "$(bash_offers kvmtunectl --sn)"
is 'bash: a guest' 'web|' "$(bash_offers kvmtunectl explain w)"
is 'bash: guests that begin with that, as a shell has to read them' 'db\ 2|db-1|' "$(bash_offers kvmtunectl explain d)"
is 'bash: ... one that is quoted already' 'db\ 2|' "$(bash_offers kvmtunectl explain 'db\ ')"
is 'bash: ... for an option' 'web|' "$(bash_offers kvmtunectl --guest = w)"
is 'bash: a name that is a command is quoted' '\$\(touch\ \$ASKED.run\)|' "$(bash_offers kvmtunectl explain '$')"
is 'bash: every guest' 5 "$(bash_offers kvmtunectl log '' | tr '|' '\n' | wc -l)"
is 'bash: a setting' 'ksm.mode|' "$(bash_offers kvmtunectl -g web set ksm)"
is 'bash: nothing for a value' '|' "$(bash_offers kvmtunectl set ksm.mode '')"
is 'bash: it asks for no password' '' "$(grep -v -e --no-ask-password "$ASKED")"
: >"$ASKED"
bash_offers kvmtunectl -s x.snapshot -c x.conf explain '' >/dev/null
is 'bash: of a snapshot, its guests' '-s x.snapshot -c x.conf --no-ask-password guests --json' "$(cat "$ASKED")"
: >"$ASKED"
is 'bash: of another machine, nothing: ssh would ask' '|' "$(bash_offers kvmtunectl -H me@elsewhere explain '')"
is 'bash: ... and nobody is asked' '' "$(cat "$ASKED")"
is 'bash: no name was run' '' "$(ls "$ASKED.run" 2>/dev/null)"

# A zsh on a terminal of its own; what stands on its command line after a TAB.
zsh_line() { # zsh_line TEXT
        ZDOTDIR=$tmp timeout 60 zsh -f -c '
                zmodload zsh/zpty
                zpty t "zsh -f -i"
                zpty -w t "PS1= PS2= fpath=($1/completion \$fpath) PATH=$PATH; autoload -Uz compinit; compinit -u -D"
                zpty -w t "show() { print -r -- \"line\"\":@\$BUFFER@\" }; zle -N show; bindkey \"^T\" show; setopt no_beep no_list_ambiguous; echo rea\"\"dy"
                zpty -r -m t out "*ready*"
                zpty -w -n t "$2"$'"'\\t\\C-t'"'
                zpty -r -m t out "*line:@*@*"
                out=${out##*line:@}
                print -r -- "${out%%@*}"' zsh "$PWD" "$1"
}
if command -v zsh >/dev/null; then
        : >"$ASKED"
        is 'zsh: a verb' 'kvmtunectl explain ' "$(zsh_line 'kvmtunectl expl')"
        is 'zsh: an option' 'kvmtunectl --snapshot=' "$(zsh_line 'kvmtunectl --sn')"
        is 'zsh: a guest' 'kvmtunectl explain web ' "$(zsh_line 'kvmtunectl explain w')"
        is 'zsh: ... with a blank in its name' 'kvmtunectl explain db\ 2 ' "$(zsh_line 'kvmtunectl explain db\ ')"
        is 'zsh: ... for an option' 'kvmtunectl --guest=web ' "$(zsh_line 'kvmtunectl --guest=w')"
        is 'zsh: a setting' 'kvmtunectl -g web set ksm.mode ' "$(zsh_line 'kvmtunectl -g web set ks')"
        is 'zsh: it asks for no password' '' "$(grep -v -e --no-ask-password "$ASKED")"
        : >"$ASKED"
        zsh_line 'kvmtunectl -s x.snapshot explain w' >/dev/null
        is 'zsh: of a snapshot, its guests' '-s x.snapshot --no-ask-password guests --json' "$(cat "$ASKED")"
        is 'zsh: of another machine, nothing' 'kvmtunectl -H ab explain w' "$(zsh_line 'kvmtunectl -H ab explain w')"
        is 'zsh: no name was run' '' "$(ls "$ASKED.run" 2>/dev/null)"
else
        n=$((n + 1))
        echo "ok $n - zsh # SKIP zsh is not installed"
fi
echo "1..$n"
exit $failed
