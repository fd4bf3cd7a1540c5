package main

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"time"
)

// assignment has the fields of api/src/wire.rs that are read here.
type assignment struct {
	Job struct {
		UID        string
		Generation uint64
		Recenter   json.RawMessage
	}
	Plan struct {
		Servers, Frames int
		SlabFrames      int `json:"slab_frames"`
		BandPixels      int `json:"band_pixels"`
		Exchanges       bool
		Stack           struct{ Height, Width int }
		Fft             json.RawMessage
	}
	Peers []*struct{ Address, Boot string }
	Goal  string
}

func stated(value json.RawMessage) bool { return len(value) > 0 && string(value) != "null" }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// share is the first frame and the phases of a server, as api/src/partition.rs divides a job.
func (a *assignment) share(id int) (int, []phase) {
	plan := &a.Plan
	slabs, bands := ceilDiv(plan.Frames, plan.SlabFrames), 0
	if plan.Exchanges {
		bands = ceilDiv(plan.Stack.Height*plan.Stack.Width, plan.BandPixels)
	}
	part := func(all, at int) int { return all * at / plan.Servers }
	first := min(part(slabs, id)*plan.SlabFrames, plan.Frames)
	frames := min(part(slabs, id+1)*plan.SlabFrames, plan.Frames) - first
	own := part(bands, id+1) - part(bands, id)
	phases := []phase{{"Load", frames}}
	if stated(a.Job.Recenter) {
		phases = append(phases, phase{"Recenter", frames})
	}
	if bands > 0 {
		phases = append(phases, phase{"Rechunk", own})
	}
	if stated(plan.Fft) {
		phases = append(phases, phase{"Fft", own})
	}
	return first, phases
}

// stamp is the hash of Assignment::stamp in api/src/wire.rs.
func (a *assignment) stamp() uint64 {
	hash := fnv.New64a()
	_, _ = io.WriteString(hash, a.Goal)
	for _, peer := range a.Peers {
		if peer != nil {
			_, _ = io.WriteString(hash, peer.Address+" "+peer.Boot)
		}
		_, _ = io.WriteString(hash, ";")
	}
	return hash.Sum64()
}

// routes are the routes of a chunk server that the operator uses for a job with a stated frame and without outputs.
func routes(counts *Counts) http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, handle func(*Server, http.ResponseWriter, *http.Request)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, request *http.Request) {
			counts.Requests.Add(1)
			server, _ := request.Context().Value(podKey{}).(*Server)
			if server == nil {
				http.Error(w, "no pod has this address", http.StatusServiceUnavailable)
				return
			}
			if boot := request.Header.Get("x-arrayjob-boot"); boot != "" && boot != server.boot() {
				http.Error(w, "another start of the server", http.StatusConflict)
				return
			}
			handle(server, w, request)
		})
	}
	route("GET /v1/progress", func(server *Server, w http.ResponseWriter, request *http.Request) {
		server.await(request)
		server.report(w)
	})
	route("PUT /v1/assignment", func(server *Server, w http.ResponseWriter, request *http.Request) {
		var body assignment
		id, err := strconv.Atoi(request.URL.Query().Get("server"))
		if err == nil {
			err = json.NewDecoder(request.Body).Decode(&body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		server.assign(&body, id)
		server.report(w)
	})
	route("GET /v1/digests", func(server *Server, w http.ResponseWriter, request *http.Request) {
		_, _ = w.Write(server.digests(request))
	})
	route("PUT /v1/digests", func(_ *Server, _ http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
	})
	return mux
}

// await waits for the next milestone, if the request asks for that.
func (s *Server) await(request *http.Request) {
	query := request.URL.Query()
	known, err := strconv.ParseUint(query.Get("milestone"), 10, 64)
	wait, waitErr := strconv.Atoi(query.Get("wait_ms"))
	if err != nil || waitErr != nil {
		return
	}
	s.mutex.Lock()
	reached, changed := s.milestone > known, s.changed
	s.mutex.Unlock()
	if reached {
		return
	}
	timer := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-request.Context().Done():
	}
}

// report responds with the progress of the server, as api/src/phase.rs defines it.
func (s *Server) report(w http.ResponseWriter) {
	s.mutex.Lock()
	body := map[string]any{
		"boot": s.boot(), "assignment": nil, "stamp": s.stamp, "milestone": s.milestone, "phases": s.progress(), "blank": []int{},
		"writing": []int{}, "written": []int{}, "failure": nil, "digests": s.loaded(), "peak_rss_bytes": s.loaded() * unitBytes,
	}
	if !s.assigned.IsZero() {
		body["assignment"] = s.assignment
	}
	s.mutex.Unlock()
	respond(w, body)
}

// digests are the digests of loaded frames: number and digest, 8 bytes each, little endian.
func (s *Server) digests(request *http.Request) []byte {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	after, _ := strconv.Atoi(request.URL.Query().Get("after")) // 0 with all=true
	var body []byte
	for frame := s.first + after; frame < s.first+s.loaded(); frame++ {
		body = binary.LittleEndian.AppendUint64(body, uint64(frame))
		body = binary.LittleEndian.AppendUint64(body, uint64(frame)+1) // a digest is never 0
	}
	return body
}
