#compdef @NAMES@
# Completion of DS01's commands for zsh. `ds01 completion zsh` prints it.

_ds01() {
    # Paths from a root, a home or the directory itself are the shell's own business.
    if [[ ${words[CURRENT]} == [\~/.]* ]]; then
        _files
        return
    fi
    local -a found going_on
    found=("${(@f)$(command ds01 __complete zsh $((CURRENT - 1)) -- "${words[@]}" 2>/dev/null)}")
    found=("${(@)found:#}")
    # A directory, and a flag that takes its value after "=", go on.
    going_on=("${(@M)found:#*(/|=)}")
    found=("${(@)found:#*(/|=)}")
    (( ${#going_on} )) && compadd -S '' -- "${going_on[@]}"
    (( ${#found} )) && _describe ds01 found
    (( ${#found} + ${#going_on} ))
}

if [[ ${funcstack[1]} == _ds01 ]]; then
    _ds01 "$@"
else
    compdef _ds01 @NAMES@
fi
