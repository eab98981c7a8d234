# Completion of DS01's commands for bash. `ds01 completion bash` prints it.

_ds01() {
    # Paths from a root, a home or the directory itself are the shell's own business.
    case ${COMP_WORDS[COMP_CWORD]} in
        [~/.]*) compopt -o default; return ;;
    esac
    local IFS=$'\n'
    COMPREPLY=($(command ds01 __complete bash "$COMP_CWORD" -- "${COMP_WORDS[@]}" 2>/dev/null))
    # A directory, and a flag that takes its value after "=", go on.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/=] ]] && compopt -o nospace
    return 0
}

complete -F _ds01 @NAMES@
