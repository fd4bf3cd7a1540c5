package main

import (
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"time"
)

// The parts of the time of a server's work at which phases begin and end. Rechunk and Fft overlap.
var phaseTimes = map[string][2]float64{"Load": {0, 0.5}, "Recenter": {0, 0.5}, "Rechunk": {0.5, 0.95}, "Fft": {0.55, 1}}

// Bytes of one unit of a phase, in the progress.
const unitBytes = 1 << 20

// Pace is the time that the work of a server takes. Servers wait until it is known.
type Pace struct {
	mutex   sync.Mutex
	started time.Time
	takes   time.Duration
}

func (p *Pace) start(takes time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.started, p.takes = time.Now(), takes
}

// of returns the begin of a server's work and its duration; 0 before the start. Servers differ by up to a tenth.
func (p *Pace) of(assigned time.Time, name string) (time.Time, time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(name))
	takes := time.Duration(float64(p.takes) * (0.9 + 0.1*float64(hash.Sum32()%1000)/1000))
	if p.started.After(assigned) {
		return p.started, takes
	}
	return assigned, takes
}

// Server is the chunk server of one pod.
type Server struct {
	name, uid, address, secret string
	running                    time.Time
	pace                       *Pace

	mutex       sync.Mutex
	connections map[net.Conn]struct{}
	assigned    time.Time // of the first assignment; zero before
	assignment  [2]any    // uid and generation of the job
	stamp       uint64
	phases      []phase
	first       int // the first frame of the server
	frames      int // of the job
	milestone   uint64
	changed     chan struct{} // closed at the next milestone
	timers      []*time.Timer
}

// phase is a phase without its progress.
type phase struct {
	name  string
	total int
}

// progress is the progress of a phase, as in api/src/phase.rs.
type progress struct {
	Phase     string `json:"phase"`
	Done      int    `json:"done"`
	Total     int    `json:"total"`
	Bytes     int    `json:"bytes"`
	Retries   int    `json:"retries"`
	StartedMs int64  `json:"started_ms"`
	EndedMs   int64  `json:"ended_ms"`
}

func newServer(pod *podObject, pace *Pace) *Server {
	server := &Server{
		name: pod.Metadata.Name, uid: pod.Metadata.UID, address: pod.Status.PodIP, running: time.Now(), pace: pace,
		connections: map[net.Conn]struct{}{}, changed: make(chan struct{}),
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Name == identityVolume && volume.Secret != nil {
			server.secret = volume.Secret.SecretName
		}
	}
	return server
}

func (s *Server) opened(connection net.Conn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.connections[connection] = struct{}{}
}

func (s *Server) closed(connection net.Conn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.connections, connection)
}

// end closes the connections of a pod that is deleted, as the end of its process does.
func (s *Server) end() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, timer := range s.timers {
		timer.Stop()
	}
	for connection := range s.connections {
		go connection.Close()
	}
}

// assign takes an assignment; the caller has no lock.
func (s *Server) assign(a *assignment, id int) {
	s.mutex.Lock()
	current := [2]any{a.Job.UID, a.Job.Generation}
	isNew := s.assigned.IsZero() || s.assignment != current
	if isNew {
		s.assigned, s.assignment, s.frames = time.Now(), current, a.Plan.Frames
		s.first, s.phases = a.share(id)
	}
	s.stamp = a.stamp()
	s.notify()
	s.mutex.Unlock()
	if isNew {
		s.schedule()
	}
}

// notify reports a milestone; the caller has the lock.
func (s *Server) notify() {
	s.milestone++
	close(s.changed)
	s.changed = make(chan struct{})
}

// schedule sets the milestones of a server's work: all frames are loaded, all bands are transformed.
func (s *Server) schedule() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, timer := range s.timers {
		timer.Stop()
	}
	s.timers = nil
	begin, takes := s.pace.of(s.assigned, s.name)
	if takes == 0 || s.assigned.IsZero() {
		return
	}
	for _, name := range []string{"Load", "Fft"} {
		at := begin.Add(time.Duration(phaseTimes[name][1] * float64(takes)))
		s.timers = append(s.timers, time.AfterFunc(time.Until(at), func() {
			s.mutex.Lock()
			defer s.mutex.Unlock()
			s.notify()
		}))
	}
}

// progress of all phases now; the caller has the lock.
func (s *Server) progress() []progress {
	begin, takes := s.pace.of(s.assigned, s.name)
	now := time.Now()
	all := make([]progress, 0, len(s.phases))
	for _, phase := range s.phases {
		made := progress{Phase: phase.name, Total: phase.total}
		times := phaseTimes[phase.name]
		if takes > 0 {
			share := (float64(now.Sub(begin))/float64(takes) - times[0]) / (times[1] - times[0])
			made.Done = int(min(max(share, 0), 1) * float64(phase.total))
		}
		if made.Done > 0 {
			made.Bytes = made.Done * unitBytes
			made.StartedMs = begin.Add(time.Duration(times[0] * float64(takes))).UnixMilli()
			part := float64(made.Done) / float64(made.Total)
			made.EndedMs = begin.Add(time.Duration((times[0] + part*(times[1]-times[0])) * float64(takes))).UnixMilli()
		}
		all = append(all, made)
	}
	return all
}

// loaded is the number of loaded frames; the caller has the lock.
func (s *Server) loaded() int {
	for _, phase := range s.progress() {
		if phase.Phase == "Load" {
			return phase.Done
		}
	}
	return 0
}

func (s *Server) state() (isAssigned, isComplete bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	isAssigned = !s.assigned.IsZero()
	isComplete = isAssigned
	for _, phase := range s.progress() {
		isComplete = isComplete && phase.Done == phase.Total
	}
	return
}

// times are the uid and the moments of a pod, in seconds of Unix time; null before.
func (s *Server) times() map[string]any {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	seconds := func(moment time.Time) any {
		if moment.IsZero() {
			return nil
		}
		return float64(moment.UnixNano()) / 1e9
	}
	return map[string]any{"uid": s.uid, "running": seconds(s.running), "assigned": seconds(s.assigned)}
}

func (s *Server) boot() string { return fmt.Sprintf("boot-%s", s.uid) }
