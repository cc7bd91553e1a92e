#compdef ums-fetch ums-route ums-push ums-failover ums-sitemap ums-spool
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Completion for zsh, for all six tools.

# What reads the configuration is given the one of the command line.
_ums_config() {
  local i
  reply=()
  for (( i = 2; i < CURRENT; i++ )); do
    case $words[i] in
      (-c|--config|--spool) reply+=("$words[i]" "$words[i+1]") ;;
      (--config=*|--spool=*) reply+=("$words[i]") ;;
    esac
  done
}

_ums_sites() {
  local -a reply lines names
  _ums_config
  lines=(${(f)"$(_call_program sites ums-sitemap ${(q)reply} sites 2>/dev/null)"})
  names=(${${lines[2,-1]}%% *})
  _describe -t sites 'site' names
}

_ums_kernels() {
  local -a reply lines names
  _ums_config
  lines=(${(f)"$(_call_program kernels ums-sitemap ${(q)reply} sites 2>/dev/null)"})
  lines=(${lines[2,-1]##* })
  names=(${(s:,:)${(j:,:)lines}})
  names=(${(u)names})
  _describe -t kernels 'kernel' names
}

_ums_queues() {
  local -a names
  names=(outgoing incoming site kernel connector noroute failed sent)
  _describe -t queues 'queue' names
}

_ums_ids() {
  local -a reply lines names
  _ums_config
  lines=(${(f)"$(_call_program ids ums-spool ${(q)reply} list -q 2>/dev/null)"})
  names=(- ${lines%%,*})
  _describe -t ids 'message' names
}

_ums() {
  local curcontext="$curcontext" subcommand i
  local -a shared stage options commands known positional

  shared=(
    '(-c --config)'{-c+,--config=}'[configuration]:file:_files'
    '--spool=[spool directory in place of the configured one]:directory:_files -/'
    '(-n --dry-run)'{-n,--dry-run}'[say what would be done; change nothing]'
    '*'{-v,--verbose}'[say more; twice: still more]'
    '(-q --quiet)'{-q,--quiet}'[print the names alone]'
    '--json[print a JSON object per line]'
    '--color=[color on stderr]:when:(auto always never)'
    '--log=[also log to the systemd journal, or to a file]:where:{ _alternative "words\:journal\:(journal)" "files\:file\:_files" }'
    '--check-config[only check the configuration]'
    '(- *)--version[print the version]'
    '(- *)'{-h,--help}'[print help]'
  )
  stage=(
    '--names=[work on these entries only]:file:_files'
    '(-0 --null)'{-0,--null}'[names end with NUL]'
    '--watch=-[keep going; look again every so many seconds]::seconds'
    '--limit=[handle at most so many messages]:number'
  )

  case $service in
    (ums-fetch)
      options=($shared $stage
        '--connector=[whose message the file is]:connector'
        '*--from=[only these directories]:kernel:_ums_kernels'
        '--take-over=[take over the claims of an MDS that is gone for ever]:id'
        '--probe=[try what a source can do]:source:_ums_kernels')
      positional=('*:message:_files')
      ;;
    (ums-route)
      options=($shared $stage
        '--explain[print rule by rule why]'
        '--connector=[the connector that the file comes from]:connector'
        '--test=[route the cases of a file and compare]:file:_files'
        '--simulate=[print where the messages of a directory or queue would go]:where:{ _ums_queues; _files -/ }'
        '--against=[also what goes another way than by this configuration]:file:_files'
        '--graph=[print the table as a picture]:format:(dot mermaid svg)')
      positional=('*:message:_files')
      ;;
    (ums-push)
      options=($shared $stage
        '*--to=[only this kernel or connector]:kernel:_ums_kernels'
        '--connector=[whose message the file is]:connector'
        '--probe=[try what a target can do]:target:_ums_kernels')
      positional=('1:message:_files')
      ;;
    (ums-failover)
      options=($shared $stage)
      commands=(
        'status:show sites, kernels and what waits'
        'drain:assign nothing new to these kernels'
        'disable:send nothing to these kernels'
        'enable:use these kernels again'
        'settle:say what became of messages in doubt')
      ;;
    (ums-sitemap)
      options=($shared $stage
        '--site=[whose numbering]:site:_ums_sites'
        '(--outgoing)--incoming[as the PBX of the site signalled it]'
        '(--incoming)--outgoing[as the PBX of the site must dial it]'
        '--explain[print what changes, and why]'
        '--test=[form the numbers of the cases of a file and compare]:file:_files')
      commands=(
        'number:print what a site makes of one number'
        'sites:print all sites and their numbering'
        'import:print the settings in a CSV file as sites')
      ;;
    (ums-spool)
      options=($shared '(-0 --null)'{-0,--null}'[names end with NUL]')
      commands=(
        'list:list messages'
        'show:show messages'
        'trace:tell what happened to messages'
        'hold:keep messages where they are'
        'release:let held messages go on'
        'requeue:decide again'
        'delete:delete messages for good')
      ;;
  esac

  known=(${commands%%:*})
  for (( i = 2; i < CURRENT; i++ )); do
    if (( ${known[(Ie)$words[i]]} )); then
      subcommand=$words[i]
      break
    fi
  done

  case $service/$subcommand in
    (ums-failover/status|ums-sitemap/sites) positional=() ;;
    (ums-failover/settle)
      options+=(
        '--delivered[they had arrived]'
        '(--send-again --force-retarget)'{--send-again,--force-retarget}'[send them again, marked as possible duplicates]'
        '--hold[keep them until they are released or deleted]')
      positional=('*:message:_ums_ids')
      ;;
    (ums-failover/?*) positional=('*:kernel:_ums_kernels') ;;
    (ums-sitemap/number)
      options+=(
        '--type=[the type that is signalled]:type:(unknown subscriber national international)'
        '--kind=[whose number it is]:kind:(destination originator redirector)')
      positional=('*:number')
      ;;
    (ums-sitemap/import) positional=('*:file:_files') ;;
    (ums-spool/list)
      options+=(
        '--failed[only what is in failed]'
        '--noroute[only what is in noroute]'
        '--hold[only what is on hold, in any queue]'
        '--in-doubt[only what may or may not have arrived]')
      positional=('*:queue:_ums_queues')
      ;;
    (ums-spool/hold)
      options+=('--reason=[why, for whoever finds them]:text')
      positional=('*:message:_ums_ids')
      ;;
    (ums-spool/?*) positional=('*:message:_ums_ids') ;;
    (ums-sitemap/)
      positional=('1: :{ _describe -t commands command commands; _files }')
      ;;
    (ums-failover/|ums-spool/)
      positional=('1: :{ _describe -t commands command commands }')
      ;;
  esac
  if [[ -n $subcommand ]]; then
    # The subcommand is a word like others to _arguments.
    positional=("1: :($subcommand)" $positional)
  fi

  _arguments -s -S : $options $positional
}

_ums "$@"
