
# Which words msup itself completes: the others belong to COMMAND, or are values.
_msup_words() {
    local at=1 word
    COMPREPLY=()
    case ${COMP_WORDS[1]} in
        xargs)
            [[ $2 == -* ]] && COMPREPLY=($(compgen -W '@XARGS@' -- "$2"))
            (( COMP_CWORD > 1 )) && return ;;
        parallel) (( COMP_CWORD > 1 )) && at=2 ;;
        @SUBCOMMANDS@)
            (( COMP_CWORD > 1 )) && { _msup "$@"; return; } ;;
    esac
    while (( at < COMP_CWORD )); do
        word=${COMP_WORDS[at]}
        case $word in
            --)
                (( at + 1 == COMP_CWORD )) && COMPREPLY=($(compgen -c -- "$2"))
                return ;;
            =)
                (( at += 1 ))
                (( at >= COMP_CWORD )) && { _msup "$@"; return; } ;;
            @VALUED@)
                (( at += 1 ))
                [[ ${COMP_WORDS[at]} == = ]] && (( at += 1 ))
                (( at >= COMP_CWORD )) && { _msup "$@"; return; } ;;
            -*) ;;
            *) return ;;
        esac
        (( at += 1 ))
    done
    if [[ $2 == -* ]]; then
        _msup "$@"
    else
        (( COMP_CWORD == 1 )) && COMPREPLY=($(compgen -W '@FIRST@' -- "$2"))
        COMPREPLY+=($(compgen -c -- "$2"))
    fi
}
complete -F _msup_words -o bashdefault -o default msup
