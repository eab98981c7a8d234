# Completion of DS01's commands for fish. `ds01 completion fish` prints it.

function __ds01_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    command ds01 __complete fish (count $words) -- $words "$current" 2>/dev/null
end

for name in @NAMES@
    complete -c $name -e
    complete -c $name -f -a '(__ds01_complete)'
    # Paths from a root, a home or the directory itself are the shell's own business.
    complete -c $name -n 'string match -qr "^[~/.]" -- (commandline -ct)' -F
end
