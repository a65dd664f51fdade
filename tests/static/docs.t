#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What README and the guides tell people to write and to type is what the programs take."""
import glob
import os
import re
import subprocess
import sys
import tempfile

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), '../..'))
build = os.environ.get('BUILD', 'build')
kvmtuned = os.environ.get('KVMTUNED', build + '/kvmtuned')
kvmtunectl = os.environ.get('KVMTUNECTL', build + '/kvmtunectl')
pages = ['README.md', 'conf/examples/README.md'] + sorted(glob.glob('doc/*.md'))
text = {page: open(page, encoding='utf-8').read() for page in pages}
n = failed = 0


def report(what, problem):
    global n, failed
    n += 1
    if problem:
        failed = 1
        print('not ok', n, '-', what)
        print(''.join('# %s\n' % line for line in problem.splitlines()), end='')
    else:
        print('ok', n, '-', what)


def check_policy(what, policy):
    with tempfile.NamedTemporaryFile('w', suffix='.conf') as f:
        f.write(policy)
        f.flush()
        r = subprocess.run([kvmtuned, '--check-config', f.name], capture_output=True, text=True, check=False)
    report(what, r.stderr if r.returncode else '')


def helps(program):
    return subprocess.run([program, '--help'], capture_output=True, text=True, check=False).stdout


host_groups = {'daemon', 'host', 'ksm', 'kernel', 'thp', 'hugepages'}
groups = host_groups | {'cpu', 'numa', 'balloon', 'vcpus', 'memtune'}

first = re.search(r'10-first\.conf`:\n\n((?:    .*\n|\n)+)', text['README.md']).group(1)
check_policy('README: the first policy', re.sub('^    ', '', first, flags=re.M))

fragments = {}
for page in pages:
    for code in re.findall(r'`([^`\n]+)`', text[page]):
        m = re.match(r'([a-z]+)(: \{| = \{|\.[a-z_]+ = )(.*)', code)
        if m and m.group(1) in groups:
            fragments.setdefault(code, page)
for code, page in fragments.items():
    group, rest = re.match(r'([a-z]+)(.*)', code).groups()
    rest = rest.rstrip(';').replace('"..."', '"/x.prom"')
    if rest[0] == '.':
        policy = '%s: { %s; };' % (group, rest[1:])
    elif rest[0] == ':' or group in host_groups:
        policy = '%s: %s;' % (group, rest.lstrip(' :='))
    else:
        policy = 'guests = ( { match = { name = "x"; }; %s%s; } );' % (group, rest)
    check_policy('%s: %s' % (page, code), policy)

commands = {'kvmtuned': helps(kvmtuned), 'kvmtunectl': helps(kvmtunectl)}
for page in pages:
    for line in re.findall(r'^    (?:sudo )?(kvmtuned|kvmtunectl)\b([^#\n]*)', text[page], flags=re.M):
        words = re.findall(r'(?<!\S)(--[a-z-]+|[a-z]+(?:-[a-z]+)?)(?!\S)', line[1].split(';')[0])
        unknown = [w for w in words[:1] + [w for w in words if w.startswith('--')]
                   if not re.search(r'(?<![\w-])%s(?![\w-])' % re.escape(w), commands[line[0]])
                   and w not in subprocess.run([kvmtuned, words[0], '--help'], capture_output=True, text=True,
                                               check=False).stdout]
        report('%s: %s%s' % (page, line[0], line[1].rstrip()), ' '.join(unknown))

for page in pages:
    for target in re.findall(r'\]\(([^)#:]+)\)', text[page]):
        there = os.path.exists(os.path.join(os.path.dirname(page), target))
        report('%s: %s is there' % (page, target), '' if there else 'missing')
    for name in re.findall(r'\b(kvmtuned[a-z.-]*|kvmtunectl|org\.kvmtuned1)\(([1-8])\)', text[page]):
        there = os.path.exists('man/%s.%s' % name)
        report('%s: %s(%s) is there' % (page, *name), '' if there else 'missing')

print('1..%d' % n)
sys.exit(failed)
