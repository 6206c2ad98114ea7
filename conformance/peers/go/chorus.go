package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// Message is the envelope as the document of the CHORUS pubsub package declares it.
type Message struct {
	Type      string                 `json:"type"`
	From      string                 `json:"from"`
	Timestamp time.Time              `json:"timestamp"`
	Data      map[string]interface{} `json:"data"`
	HopCount  int                    `json:"hop_count,omitempty"`

	FromRole          string   `json:"from_role,omitempty"`
	ToRoles           []string `json:"to_roles,omitempty"`
	RequiredExpertise []string `json:"required_expertise,omitempty"`
	ProjectID         string   `json:"project_id,omitempty"`
	Priority          string   `json:"priority,omitempty"`
	ThreadID          string   `json:"thread_id,omitempty"`
}

// everyField is a Message that leaves nothing out, in its own names: what this program understood.
type everyField struct {
	Type      string
	From      string
	Timestamp time.Time
	Data      map[string]interface{}
	HopCount  int

	FromRole          string
	ToRoles           []string
	RequiredExpertise []string
	ProjectID         string
	Priority          string
	ThreadID          string
}

// cmdChorusPublish fills in what an agent knows by itself: who it is, and where the driver gives
// none, the time, in a zone with the given offset.
func (n *node) cmdChorusPublish(r *request) (fields, error) {
	topic, err := need(r.Topic, "topic")
	if err != nil {
		return nil, err
	}
	var message Message
	if err := json.Unmarshal(r.Message, &message); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	message.From = n.host.ID().String()
	if message.Timestamp.IsZero() {
		message.Timestamp = time.Now().In(time.FixedZone("", r.Offset))
	}
	data, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	answer := chorusFields(message)
	answer["data_b64"] = base64.StdEncoding.EncodeToString(data)
	return answer, n.publish(n.ctx, topic, data)
}

// understood is what an agent with the document's struct makes of a message.
func understood(data []byte) fields {
	var message Message
	if err := json.Unmarshal(data, &message); err != nil {
		return fields{"error": err.Error()}
	}
	encoded, err := json.Marshal(message)
	if err != nil {
		return fields{"error": err.Error()}
	}
	answer := chorusFields(message)
	answer["data_b64"] = base64.StdEncoding.EncodeToString(encoded)
	return answer
}

// chorusFields has the time as a number beside its text: Go's own reading of it.
func chorusFields(message Message) fields {
	return fields{
		"message": everyField(message), "seconds": message.Timestamp.Unix(),
		"nanoseconds": message.Timestamp.Nanosecond(),
	}
}
