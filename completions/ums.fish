# SPDX-License-Identifier: GPL-3.0-or-later
#
# Completion for fish, for all six tools.

# The configuration of the command line, for what reads it.
function __ums_config
    set -l words (commandline -opc)
    for i in (seq 2 (count $words))
        switch $words[$i]
            case -c --config --spool
                set -l next (math $i + 1)
                set -q words[$next]; and printf '%s\n' $words[$i] $words[$next]
            case '--config=*' '--spool=*'
                printf '%s\n' $words[$i]
        end
    end
end

function __ums_sites
    ums-sitemap (__ums_config) sites 2>/dev/null | tail -n +2 | string replace -r ' .*' ''
end

function __ums_kernels
    ums-sitemap (__ums_config) sites 2>/dev/null | tail -n +2 | string replace -r '.* ' '' | string split , | sort -u
end

function __ums_ids
    ums-spool (__ums_config) list -q 2>/dev/null | string replace -r ',.*' ''
end

for tool in ums-fetch ums-route ums-push ums-failover ums-sitemap ums-spool
    complete -c $tool -s c -l config -r -F -d 'Configuration'
    complete -c $tool -l spool -x -a '(__fish_complete_directories)' -d 'Spool directory in place of the configured one'
    complete -c $tool -s n -l dry-run -d 'Say what would be done; change nothing'
    complete -c $tool -s v -l verbose -d 'Say more; twice: still more'
    complete -c $tool -s q -l quiet -d 'Print the names alone'
    complete -c $tool -l json -d 'Print a JSON object per line'
    complete -c $tool -l color -x -a 'auto always never' -d 'Color on stderr'
    complete -c $tool -l log -r -F -a journal -d 'Also log to the systemd journal, or to a file'
    complete -c $tool -l check-config -d 'Only check the configuration'
    complete -c $tool -l version -d 'Print the version'
    complete -c $tool -s h -l help -d 'Print help'
    complete -c $tool -s 0 -l null -d 'Names end with NUL'
end

for tool in ums-fetch ums-route ums-push ums-failover ums-sitemap
    complete -c $tool -l names -r -F -d 'Work on these entries only'
    complete -c $tool -l watch -d 'Keep going; =SECONDS'
    complete -c $tool -l limit -x -d 'Handle at most so many messages'
end

complete -c ums-fetch -l connector -x -d 'Whose message the file is'
complete -c ums-fetch -l from -x -a '(__ums_kernels)' -d 'Only these directories'
complete -c ums-fetch -l take-over -x -d 'Take over the claims of an MDS that is gone for ever'
complete -c ums-fetch -l probe -x -a '(__ums_kernels)' -d 'Try what a source can do'

complete -c ums-route -l explain -d 'Print rule by rule why'
complete -c ums-route -l connector -x -d 'The connector that the file comes from'
complete -c ums-route -l test -r -d 'Route the cases of a file and compare'
complete -c ums-route -l simulate -r -d 'Print where the messages of a directory or queue would go'
complete -c ums-route -l against -r -d 'Also what goes another way than by this configuration'
complete -c ums-route -l graph -x -a 'dot mermaid svg' -d 'Print the table as a picture'

complete -c ums-push -l to -x -a '(__ums_kernels)' -d 'Only this kernel or connector'
complete -c ums-push -l connector -x -d 'Whose message the file is'
complete -c ums-push -l probe -x -a '(__ums_kernels)' -d 'Try what a target can do'

set -l commands status drain disable enable settle
complete -c ums-failover -f
complete -c ums-failover -n "not __fish_seen_subcommand_from $commands" -a status -d 'Show sites, kernels and what waits'
complete -c ums-failover -n "not __fish_seen_subcommand_from $commands" -a drain -d 'Assign nothing new to these kernels'
complete -c ums-failover -n "not __fish_seen_subcommand_from $commands" -a disable -d 'Send nothing to these kernels'
complete -c ums-failover -n "not __fish_seen_subcommand_from $commands" -a enable -d 'Use these kernels again'
complete -c ums-failover -n "not __fish_seen_subcommand_from $commands" -a settle -d 'Say what became of messages in doubt'
complete -c ums-failover -n '__fish_seen_subcommand_from settle' -l delivered -d 'They had arrived'
complete -c ums-failover -n '__fish_seen_subcommand_from settle' -l send-again -d 'Send them again'
complete -c ums-failover -n '__fish_seen_subcommand_from settle' -l force-retarget -d 'Send them again'
complete -c ums-failover -n '__fish_seen_subcommand_from settle' -l hold -d 'Keep them until they are released'
complete -c ums-failover -n '__fish_seen_subcommand_from settle' -a '(__ums_ids)'
complete -c ums-failover -n '__fish_seen_subcommand_from drain disable enable' -a '(__ums_kernels)'

set -l commands number sites import
complete -c ums-sitemap -l site -x -a '(__ums_sites)' -d 'Whose numbering'
complete -c ums-sitemap -l incoming -d 'As the PBX of the site signalled it'
complete -c ums-sitemap -l outgoing -d 'As the PBX of the site must dial it'
complete -c ums-sitemap -l explain -d 'Print what changes, and why'
complete -c ums-sitemap -l test -r -d 'Form the numbers of the cases of a file and compare'
complete -c ums-sitemap -n '__fish_seen_subcommand_from number' -l type -x -a 'unknown subscriber national international' -d 'The type that is signalled'
complete -c ums-sitemap -n '__fish_seen_subcommand_from number' -l kind -x -a 'destination originator redirector' -d 'Whose number it is'
complete -c ums-sitemap -n "not __fish_seen_subcommand_from $commands" -a number -d 'Print what a site makes of one number'
complete -c ums-sitemap -n "not __fish_seen_subcommand_from $commands" -a sites -d 'Print all sites and their numbering'
complete -c ums-sitemap -n "not __fish_seen_subcommand_from $commands" -a import -d 'Print the settings in a CSV file as sites'

set -l commands list show trace hold release requeue delete
complete -c ums-spool -f
complete -c ums-spool -n "not __fish_seen_subcommand_from $commands" -a list -d 'List messages'
complete -c ums-spool -n "not __fish_seen_subcommand_from $commands" -a show -d 'Show messages'
complete -c ums-spool -n "not __fish_seen_subcommand_from $commands" -a trace -d 'Tell what happened to messages'
complete -c ums-spool -n "not __fish_seen_subcommand_from $commands" -a hold -d 'Keep messages where they are'
complete -c ums-spool -n "not __fish_seen_subcommand_from $commands" -a release -d 'Let held messages go on'
complete -c ums-spool -n "not __fish_seen_subcommand_from $commands" -a requeue -d 'Decide again'
complete -c ums-spool -n "not __fish_seen_subcommand_from $commands" -a delete -d 'Delete messages for good'
complete -c ums-spool -n '__fish_seen_subcommand_from list' -l failed -d 'Only what is in failed'
complete -c ums-spool -n '__fish_seen_subcommand_from list' -l noroute -d 'Only what is in noroute'
complete -c ums-spool -n '__fish_seen_subcommand_from list' -l hold -d 'Only what is on hold, in any queue'
complete -c ums-spool -n '__fish_seen_subcommand_from list' -l in-doubt -d 'Only what may or may not have arrived'
complete -c ums-spool -n '__fish_seen_subcommand_from list' -a 'outgoing incoming site kernel connector noroute failed sent'
complete -c ums-spool -n '__fish_seen_subcommand_from hold' -l reason -x -d 'Why, for whoever finds them'
complete -c ums-spool -n '__fish_seen_subcommand_from show trace hold release requeue delete' -a '(__ums_ids)'
