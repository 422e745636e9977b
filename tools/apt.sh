# SPDX-License-Identifier: MIT
#
# A private apt, for setup.sh and qemu10.sh, which read this file with `.`: the
# machine's own mirrors and keys, with lists and downloads in a folder of ours.
# POSIX sh. Uses their functions `say` and `die`.

# Reads both forms of apt source files and prints one line for each suite of
# this release: options, address, suite.
list_sources() {
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -r "$f" ] || continue
        sed -n 's/#.*//; s/^[[:space:]]*deb[[:space:]][[:space:]]*//p' "$f" |
            sed 's/^\[\([^]]*\)\][[:space:]]*/[\1]|/; t
                 s/^/|/' |
            awk -F'|' '{ split($2, w, " "); print $1 "|" w[1] "|" w[2] }'
    done
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -r "$f" ] || continue
        awk '
            function flush(   i, j, n, m, u, s, o) {
                if (tolower(v["enabled"]) != "no" && v["types"] ~ /(^| )deb( |$)/) {
                    n = split(v["uris"], u, " "); m = split(v["suites"], s, " ")
                    o = v["signed-by"] ~ /^ *\// ? "[signed-by=" v["signed-by"] "]" : ""
                    gsub(/=[ ]+/, "=", o)
                    for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) print o "|" u[i] "|" s[j]
                }
                split("", v)
            }
            /^#/ { next }
            /^[ \t]*$/ { flush(); next }
            /^[ \t]/ { v[k] = v[k] " " $0; next }
            { k = tolower($0); sub(/:.*/, "", k); x = $0; sub(/^[^:]*:[ \t]*/, "", x); v[k] = x }
            END { flush() }' "$f"
    done
}

# private_apt FOLDER PACKAGES...: makes its sources, lists and configuration
# there, or says that this machine cannot get the packages. The suites are
# those of this release; in $more_suites, others that stand beside them.
private_apt() {
    apt=$1
    shift
    command -v apt-get >/dev/null 2>&1 ||
        die "this is not a Debian system; Skerry needs these Debian 12 packages: $*"
    code=$(. /etc/os-release; echo "${VERSION_CODENAME:-}")
    [ -n "$code" ] || die "/etc/os-release names no release"
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"

    # The main suite comes first: where two suites list the same version, apt
    # takes the first, and not every mirror has all sources of the others.
    list_sources | sort -u >"$apt/all"
    for suite in "$code" "$code-updates" "$code-security"; do
        grep "|$suite\$" "$apt/all" || true
    done >"$apt/found"
    [ -s "$apt/found" ] || die "no apt source for $code is configured on this machine"
    if ! grep -q "|$code-security\$" "$apt/found"; then
        # Clang 22 is in the security suite, which stands beside the main
        # archive on a mirror.
        grep "|$code\$" "$apt/found" | head -n 1 |
            sed "s#/debian/*|#/debian-security|#; s#|$code\$#|$code-security#" \
            >>"$apt/found"
    fi
    for suite in ${more_suites:-}; do
        grep "|$code\$" "$apt/all" | head -n 1 | sed "s#|$code\$#|$code-$suite#" >>"$apt/found"
    done
    awk -F'|' '{ print "deb", $1, $2, $3, "main"; print "deb-src", $1, $2, $3, "main" }' \
        "$apt/found" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<END
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt/cache";
Dir::Cache::archives "$apt/cache/archives";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
END
    say "reading the package lists"
    apt-get -q -c "$apt/apt.conf" update >"$apt/update.log" 2>&1 || {
        cat "$apt/update.log" >&2
        die "apt-get update failed, so these packages cannot be fetched: $*"
    }
}
