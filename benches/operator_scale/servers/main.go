// Command servers answers for all chunk servers of a cluster without containers: one process, one port, and the address of each pod as a
// local address. It answers the operator over mutual TLS as a chunk server does, reports progress, and computes nothing.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Counts are totals since the start of the process.
type Counts struct {
	Handshakes  atomic.Int64
	Connections atomic.Int64 // open now
	Requests    atomic.Int64
}

func main() {
	api := flag.String("api", "", "URL of the API server")
	authority := flag.String("authority", "", "file with the certificate of the API server's authority")
	namespace := flag.String("namespace", "", "namespace of the jobs")
	listen := flag.String("listen", "", "address of the servers' port for peers and the operator")
	control := flag.String("control", "", "address of the port for the bench")
	flag.Parse()

	client, err := newClient(*api, *authority, os.Getenv("TOKEN"))
	if err != nil {
		log.Fatal(err)
	}
	pods := newPods(client, *namespace)
	counts := &Counts{}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(serve(listener, pods, counts)) }()
	go func() { log.Fatal(http.ListenAndServe(*control, controls(pods, counts))) }()
	pods.follow()
}

// The pod that a connection was made to.
type podKey struct{}

func serve(listener net.Listener, pods *Pods, counts *Counts) error {
	config := &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			counts.Handshakes.Add(1)
			pod := pods.at(hello.Conn.LocalAddr())
			if pod == nil {
				return nil, errors.New("no pod has this address")
			}
			return pods.identity(pod)
		},
	}
	server := &http.Server{
		Handler:     routes(counts),
		ErrorLog:    log.New(io.Discard, "", 0), // a client that drops a connection is no error here
		IdleTimeout: 5 * time.Minute,
		ConnContext: func(ctx context.Context, connection net.Conn) context.Context {
			pod := pods.at(connection.LocalAddr())
			if pod == nil {
				// As a server that does not listen yet: the connection must not stay open without a pod.
				connection.Close()
			} else {
				pod.opened(connection)
			}
			return context.WithValue(ctx, podKey{}, pod)
		},
		ConnState: func(connection net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				counts.Connections.Add(1)
			case http.StateClosed, http.StateHijacked:
				counts.Connections.Add(-1)
				if pod := pods.at(connection.LocalAddr()); pod != nil {
					pod.closed(connection)
				}
			}
		},
	}
	return server.Serve(tls.NewListener(listener, config))
}

// controls are the routes of the bench itself.
func controls(pods *Pods, counts *Counts) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		running, assigned, complete := pods.count()
		respond(w, map[string]any{
			"running": running, "assigned": assigned, "complete": complete,
			"handshakes": counts.Handshakes.Load(), "connections": counts.Connections.Load(), "requests": counts.Requests.Load(),
		})
	})
	// The servers work from now on, and are complete after this number of seconds.
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, request *http.Request) {
		seconds, err := time.ParseDuration(request.FormValue("seconds") + "s")
		if err != nil || seconds <= 0 {
			http.Error(w, "seconds must be a positive number", http.StatusBadRequest)
			return
		}
		pods.start(seconds)
	})
	mux.HandleFunc("GET /pods/", func(w http.ResponseWriter, request *http.Request) {
		pod := pods.named(strings.TrimPrefix(request.URL.Path, "/pods/"))
		if pod == nil {
			http.NotFound(w, request)
			return
		}
		respond(w, pod.times())
	})
	return mux
}

func respond(w http.ResponseWriter, body any) {
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
