# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Completion for bash, for all six tools. Needs nothing but bash: no helper functions of the bash-completion package.

# Words of the configuration in use: sites or kernels.
_ums_names() {
    local column=1
    [ "$1" = kernels ] && column=12
    ums-sitemap "${_ums_config[@]}" sites 2>/dev/null |
        while read -r -a cells; do echo "${cells[column - 1]//,/ }"; done |
        { read -r _ && cat; }
}

# Ids of what is in the spool. Names have characters that bash takes apart; what stands before the first comma will do.
_ums_ids() {
    ums-spool "${_ums_config[@]}" list -q "$@" 2>/dev/null | while IFS=, read -r id _; do echo "$id"; done
}

_ums_queues() {
    echo outgoing incoming site kernel connector noroute failed sent
    local name
    for name in $(_ums_names sites); do echo "site/$name"; done
    for name in $(_ums_names kernels); do echo "kernel/$name"; done
}

_ums() {
    local tool=${COMP_WORDS[0]##*/} current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local shared="-c --config --spool -n --dry-run -v --verbose -q --quiet --json --color --log --check-config
        --version -h --help"
    local stage="--names -0 --null --watch --limit"
    local options="" subcommands="" subcommand="" word="" before="" i
    local -a _ums_config=()
    COMPREPLY=()

    case $tool in
        ums-fetch) options="$shared $stage --connector --from --take-over --probe" ;;
        ums-route) options="$shared $stage --explain --connector --test --simulate --against --graph" ;;
        ums-push) options="$shared $stage --to --connector --probe" ;;
        ums-failover) options="$shared $stage" subcommands="status drain disable enable settle" ;;
        ums-sitemap) options="$shared $stage --site --incoming --outgoing --explain --test" subcommands="number sites import" ;;
        ums-spool) options="$shared -0 --null" subcommands="list show trace hold release requeue delete" ;;
        *) return ;;
    esac

    # bash takes `--color=always` apart at the `=`.
    if [ "$current" = "=" ]; then
        current=""
    elif [ "$previous" = "=" ] && [ "$COMP_CWORD" -ge 2 ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi

    # What was said before: the subcommand, and the configuration to read names from.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        [ "$word" = "=" ] && continue
        case $before in
            -c | --config | --spool)
                _ums_config+=("$before" "$word")
                before=""
                continue
                ;;
        esac
        before=$word
        if [ -z "$subcommand" ] && [ -n "$subcommands" ]; then
            case " $subcommands " in *" $word "*) subcommand=$word ;; esac
        fi
    done

    case $previous in
        --color)
            mapfile -t COMPREPLY < <(compgen -W "auto always never" -- "$current")
            return
            ;;
        --log)
            mapfile -t COMPREPLY < <(compgen -W journal -- "$current"; compgen -f -- "$current")
            return
            ;;
        --graph)
            mapfile -t COMPREPLY < <(compgen -W "dot mermaid svg" -- "$current")
            return
            ;;
        --simulate)
            mapfile -t COMPREPLY < <(compgen -W "$(_ums_queues)" -- "$current"; compgen -d -- "$current")
            return
            ;;
        --type)
            mapfile -t COMPREPLY < <(compgen -W "unknown subscriber national international" -- "$current")
            return
            ;;
        --kind)
            mapfile -t COMPREPLY < <(compgen -W "destination originator redirector" -- "$current")
            return
            ;;
        -c | --config | --names | --test | --against)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        --spool)
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            return
            ;;
        --site)
            mapfile -t COMPREPLY < <(compgen -W "$(_ums_names sites)" -- "$current")
            return
            ;;
        --to | --from | --probe)
            mapfile -t COMPREPLY < <(compgen -W "$(_ums_names kernels)" -- "$current")
            return
            ;;
        --connector | --take-over | --limit | --reason) return ;;
    esac

    if [[ $current == -* ]]; then
        case $tool/$subcommand in
            ums-failover/settle) options+=" --delivered --send-again --force-retarget --hold" ;;
            ums-sitemap/number) options+=" --type --kind" ;;
            ums-spool/list) options+=" --failed --noroute --hold --in-doubt" ;;
            ums-spool/hold) options+=" --reason" ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi

    case $tool/$subcommand in
        ums-failover/ | ums-spool/) mapfile -t COMPREPLY < <(compgen -W "$subcommands" -- "$current") ;;
        ums-sitemap/) mapfile -t COMPREPLY < <(compgen -W "$subcommands" -- "$current"; compgen -f -- "$current") ;;
        ums-sitemap/import) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        ums-failover/status | ums-sitemap/*) ;;
        ums-failover/settle) mapfile -t COMPREPLY < <(compgen -W "$(_ums_ids --in-doubt)" -- "$current") ;;
        ums-failover/*) mapfile -t COMPREPLY < <(compgen -W "$(_ums_names kernels)" -- "$current") ;;
        ums-spool/list) mapfile -t COMPREPLY < <(compgen -W "$(_ums_queues)" -- "$current") ;;
        ums-spool/*) mapfile -t COMPREPLY < <(compgen -W "$(_ums_ids)" -- "$current") ;;
        *) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
}

complete -o filenames -o bashdefault -F _ums ums-fetch ums-route ums-push ums-failover ums-sitemap ums-spool
