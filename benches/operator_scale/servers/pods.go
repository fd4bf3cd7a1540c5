package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"
)

// The label of the pods that the operator creates.
const selector = "app.kubernetes.io/component=chunk-server"

// The name of the volume with the servers' certificate.
const identityVolume = "tls"

// Client sends requests to the API server.
type Client struct {
	http  *http.Client
	url   string
	token string
}

func newClient(url, authority, token string) (*Client, error) {
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", authority)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return &Client{http: &http.Client{Transport: transport}, url: url, token: token}, nil
}

func (c *Client) get(path string) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("authorization", "Bearer "+c.token)
	response, err := c.http.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = fmt.Errorf("%s: %s", path, response.Status)
	}
	return response, err
}

// podObject has the fields of a pod that are read here.
type podObject struct {
	Metadata struct {
		Name, UID, ResourceVersion string
		DeletionTimestamp          *string
	}
	Spec struct {
		Volumes []struct {
			Name   string
			Secret *struct{ SecretName string }
		}
	}
	Status struct{ Phase, PodIP string }
}

// Pods are the running pods of a namespace.
type Pods struct {
	client    *Client
	namespace string

	mutex      sync.Mutex
	byAddress  map[string]*Server
	byName     map[string]*Server
	byUID      map[string]*Server
	identities map[string]*tls.Config // by the name of the Secret
	pace       *Pace
}

func newPods(client *Client, namespace string) *Pods {
	return &Pods{
		client: client, namespace: namespace, byAddress: map[string]*Server{}, byName: map[string]*Server{},
		byUID: map[string]*Server{}, identities: map[string]*tls.Config{}, pace: &Pace{},
	}
}

// follow watches the pods until the process ends. A watch that ends is made again.
func (p *Pods) follow() {
	version := "0"
	for {
		if err := p.watch(&version); err != nil {
			log.Print(err)
			version = "0"
			time.Sleep(time.Second)
		}
	}
}

func (p *Pods) watch(version *string) error {
	query := url.Values{"watch": {"true"}, "labelSelector": {selector}, "resourceVersion": {*version}}
	response, err := p.client.get("/api/v1/namespaces/" + p.namespace + "/pods?" + query.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	events := json.NewDecoder(bufio.NewReaderSize(response.Body, 1<<20))
	for events.More() {
		var event struct {
			Type   string
			Object podObject
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		if event.Type == "ERROR" {
			return errors.New("the watch of pods ended with an error")
		}
		*version = event.Object.Metadata.ResourceVersion
		p.apply(event.Type == "DELETED", &event.Object)
	}
	return nil
}

func (p *Pods) apply(deleted bool, pod *podObject) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known := p.byUID[pod.Metadata.UID]
	ends := deleted || pod.Metadata.DeletionTimestamp != nil
	switch {
	case known != nil && ends:
		delete(p.byUID, pod.Metadata.UID)
		// A new pod may have the name or the address already.
		if p.byName[known.name] == known {
			delete(p.byName, known.name)
		}
		if p.byAddress[known.address] == known {
			delete(p.byAddress, known.address)
		}
		known.end()
	case known == nil && !ends && pod.Status.Phase == "Running" && pod.Status.PodIP != "":
		server := newServer(pod, p.pace)
		if other := p.byAddress[server.address]; other != nil {
			log.Printf("%s and %s have the address %s", other.name, server.name, server.address)
		}
		p.byUID[pod.Metadata.UID], p.byName[server.name], p.byAddress[server.address] = server, server, server
	}
}

func (p *Pods) at(address net.Addr) *Server {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return nil
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.byAddress[host]
}

func (p *Pods) named(name string) *Server {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.byName[name]
}

func (p *Pods) count() (running, assigned, complete int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for _, server := range p.byUID {
		isAssigned, isComplete := server.state()
		running++
		if isAssigned {
			assigned++
		}
		if isComplete {
			complete++
		}
	}
	return
}

func (p *Pods) start(seconds time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.pace.start(seconds)
	for _, server := range p.byUID {
		server.schedule()
	}
}

// identity is the TLS configuration of a pod, from the Secret that the pod mounts.
func (p *Pods) identity(server *Server) (*tls.Config, error) {
	p.mutex.Lock()
	config := p.identities[server.secret]
	p.mutex.Unlock()
	if config != nil {
		return config, nil
	}
	response, err := p.client.get("/api/v1/namespaces/" + p.namespace + "/secrets/" + server.secret)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var secret struct{ Data map[string][]byte }
	if err := json.NewDecoder(response.Body).Decode(&secret); err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(secret.Data["ca.crt"])
	config = &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if existing := p.identities[server.secret]; existing != nil {
		return existing, nil // session tickets of one configuration
	}
	p.identities[server.secret] = config
	return config, nil
}
