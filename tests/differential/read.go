// Command read says what the Engine's own Go code makes of a request, one a line: its bodies with the Engine's types and
// decoders, its paths with the Engine's routers, archives with Go's reader. It is given "KIND BASE64" lines and answers
// each with one line of JSON. It must never read anything in a way of its own.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/docker/distribution/reference"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	volumetypes "github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/pkg/sysinfo"
	"github.com/docker/docker/runconfig"
	"github.com/gorilla/mux"
)

// answer is what is printed for one line.
type answer struct {
	Read  interface{} `json:"read,omitempty"`
	Error string      `json:"error,omitempty"`
	// The body was read, and its values were refused.
	Invalid bool `json:"invalid,omitempty"`
}

// created is a create as the Engine goes on with it, in the form in which clients write it.
type created struct {
	*container.Config
	HostConfig       *container.HostConfig
	NetworkingConfig *network.NetworkingConfig
}

func main() {
	if len(os.Args) != 2 {
		fatal(errors.New("the source of the Engine is missing: read /usr/share/gocode/src/github.com/docker/docker"))
	}
	routes := engineMux(os.Args[1])
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF && line == "" {
			return
		}
		if err != nil {
			fatal(err)
		}
		kind, encoded, found := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		body, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || !found {
			fatal(fmt.Errorf("a line is not KIND BASE64: %q", line))
		}
		said, err := json.Marshal(read(routes, kind, body))
		if err != nil {
			fatal(err)
		}
		out.Write(append(said, '\n'))
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				fatal(err)
			}
		}
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "read:", err)
	os.Exit(1)
}

func read(routes *mux.Router, kind string, body []byte) answer {
	switch kind {
	case "create":
		return readConfig(body)
	case "commit":
		return readCommit(body)
	case "exec":
		return decode(body, &types.ExecConfig{})
	case "exec-start":
		return decode(body, &types.ExecStartCheck{})
	case "update":
		return decode(body, &container.UpdateConfig{})
	case "volume":
		return decode(body, &volumetypes.VolumeCreateBody{})
	case "network":
		return decode(body, &types.NetworkCreateRequest{})
	case "connect":
		return decode(body, &types.NetworkConnect{})
	case "disconnect":
		return decode(body, &types.NetworkDisconnect{})
	case "auth":
		return decode(body, &types.AuthConfig{})
	case "route":
		return readRoute(routes, body)
	case "filters":
		return readFilters(string(body))
	case "reference":
		return readReference(string(body))
	case "tar":
		return readTar(body)
	}
	fatal(fmt.Errorf("no such kind: %q", kind))
	return answer{}
}

// decode is what the routes of all bodies but create and commit do.
func decode(body []byte, into interface{}) answer {
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(into); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Read: into}
}

// A host on which everything can be limited, so that no value is refused for want of a controller.
func everything() *sysinfo.SysInfo {
	info := sysinfo.New(true)
	info.MemoryLimit, info.SwapLimit, info.MemoryReservation, info.MemorySwappiness = true, true, true, true
	info.OomKillDisable, info.KernelMemory, info.KernelMemoryTCP, info.PidsLimit = true, true, true, true
	info.CPUShares, info.CPUCfs, info.CPURealtime, info.Cpuset = true, true, true, true
	return info
}

// readConfig is the Engine's own decoder. What it refuses after reading is read again without its opinion of values.
func readConfig(body []byte) (said answer) {
	// A body that is nothing but a HostConfig ends the Engine's decoder, and with it the connection.
	defer func() {
		if fault := recover(); fault != nil {
			said = answer{Error: fmt.Sprint("panic: ", fault)}
		}
	}()
	decoder := runconfig.ContainerDecoder{GetSysInfo: everything}
	config, host, networking, err := decoder.DecodeConfig(bytes.NewReader(body))
	if err == nil {
		return answer{Read: created{config, host, networking}}
	}
	var wrapper runconfig.ContainerConfigWrapper
	if json.NewDecoder(bytes.NewReader(body)).Decode(&wrapper) != nil {
		return answer{Error: err.Error()}
	}
	if wrapper.HostConfig != nil && wrapper.InnerHostConfig != nil {
		return answer{Error: "HostConfig twice: " + err.Error()}
	}
	host = wrapper.InnerHostConfig
	if host == nil {
		host = wrapper.HostConfig
	}
	return answer{Read: created{wrapper.Config, host, wrapper.NetworkingConfig}, Error: err.Error(), Invalid: true}
}

// readCommit keeps what a commit goes on with: of all that can be in a create, the configuration.
func readCommit(body []byte) answer {
	said := readConfig(body)
	if all, ok := said.Read.(created); ok && all.Config != nil {
		said.Read = all.Config
	} else if ok {
		said.Read = container.Config{}
	}
	return said
}

// The Engine's routers in the order in which it puts them in.
var routers = []string{
	"checkpoint", "container", "image", "system", "volume", "build", "session", "swarm", "plugin", "distribution", "grpc",
	"network",
}

// engineMux has every route of the Engine, put in as its server does it. The routers need the whole daemon to be built,
// so their lists of routes are read from their source.
func engineMux(source string) *mux.Router {
	routes, count := mux.NewRouter(), 0
	handler := http.NotFoundHandler()
	for _, name := range routers {
		packages, err := parser.ParseDir(token.NewFileSet(), filepath.Join(source, "api/server/router", name), nil, 0)
		if err != nil {
			fatal(err)
		}
		for _, one := range packages {
			for file := range one.Files {
				ast.Inspect(one.Files[file], func(node ast.Node) bool {
					if method, path, ok := routeOf(node); ok {
						routes.Path("/v{version:[0-9.]+}" + path).Methods(method).Handler(handler)
						routes.Path(path).Methods(method).Handler(handler)
						count++
					}
					return true
				})
			}
		}
	}
	if count < 90 {
		fatal(fmt.Errorf("%s has only %d routes", source, count))
	}
	routes.HandleFunc("/v{version:[0-9.]+}/{path:.*}", func(http.ResponseWriter, *http.Request) {})
	return routes
}

// routeOf reads a call such as router.NewPostRoute("/containers/create", …).
func routeOf(node ast.Node) (method, path string, ok bool) {
	call, ok := node.(*ast.CallExpr)
	if !ok || len(call.Args) < 2 {
		return "", "", false
	}
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !strings.HasPrefix(function.Sel.Name, "New") || !strings.HasSuffix(function.Sel.Name, "Route") {
		return "", "", false
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", "", false
	}
	path, err := strconv.Unquote(literal.Value)
	if err != nil {
		return "", "", false
	}
	method = strings.TrimSuffix(strings.TrimPrefix(function.Sel.Name, "New"), "Route")
	return strings.ToUpper(method), path, true
}

// readRoute takes a request line as it is on the wire.
func readRoute(routes *mux.Router, line []byte) answer {
	wire := append(append([]byte{}, line...), " HTTP/1.1\r\nHost: docker\r\n\r\n"...)
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(wire)))
	if err != nil {
		return answer{Error: err.Error()}
	}
	if err := request.ParseForm(); err != nil {
		return answer{Error: err.Error()}
	}
	var match mux.RouteMatch
	if !routes.Match(request, &match) || match.MatchErr != nil || match.Route == nil {
		return answer{Error: "no route"}
	}
	template, err := match.Route.GetPathTemplate()
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Read: map[string]interface{}{
		"method": request.Method, "template": template, "vars": match.Vars, "form": request.Form,
	}}
}

// readFilters is what every list, prune and stream of events does with its filters.
func readFilters(text string) answer {
	args, err := filters.FromJSON(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	read := map[string][]string{}
	for _, name := range args.Keys() {
		read[name] = args.Get(name)
		sort.Strings(read[name])
	}
	return answer{Read: read}
}

// readReference takes the name of an image apart as the Engine does.
func readReference(text string) answer {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	parts := map[string]string{
		"domain": reference.Domain(named), "path": reference.Path(named), "tag": "", "digest": "",
		"familiar": reference.FamiliarName(named),
	}
	if tagged, ok := named.(reference.Tagged); ok {
		parts["tag"] = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		parts["digest"] = digested.Digest().String()
	}
	return answer{Read: parts}
}

// readTar lists an archive as Go's reader, which is the Engine's, sees it.
func readTar(archive []byte) answer {
	type entry struct {
		Type       string
		Name, Link string
		Mode       int64
		Uid, Gid   int
		Size       int64
		Attributes map[string]string
	}
	entries := []entry{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return answer{Read: entries}
		}
		if err != nil {
			return answer{Error: err.Error()}
		}
		if _, err := io.Copy(io.Discard, reader); err != nil {
			return answer{Error: err.Error()}
		}
		entries = append(entries, entry{
			string(header.Typeflag), header.Name, header.Linkname, header.Mode, header.Uid, header.Gid, header.Size,
			header.PAXRecords,
		})
	}
}
