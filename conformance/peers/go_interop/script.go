package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
)

// An instruction has the fields of all kinds; which of them count, its type says.
type instruction struct {
	Type string `json:"type"`

	NodeID      int          `json:"nodeID"`
	Instruction *instruction `json:"instruction"`

	Params           json.RawMessage `json:"gossipSubParams"`
	ConnectTo        []int           `json:"connectTo"`
	ElapsedSeconds   float64         `json:"elapsedSeconds"`
	TopicID          string          `json:"topicID"`
	Partial          bool            `json:"partial"`
	MessageID        uint64          `json:"messageID"`
	MessageSizeBytes int             `json:"messageSizeBytes"`
	DelaySeconds     float64         `json:"delaySeconds"`
	GroupID          uint64          `json:"groupID"`
	Parts            byte            `json:"parts"`
	PublishToNodeIDs []int           `json:"publishToNodeIDs"`
}

// readScript gives what one node has to do; conditions are resolved.
func readScript(path string, node int) ([]instruction, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var params struct {
		Script []instruction `json:"script"`
	}
	if err := json.Unmarshal(content, &params); err != nil {
		return nil, err
	}
	var own []instruction
	for place, each := range params.Script {
		one, isOurs := &each, true
		for one.Type == "ifNodeIDEquals" {
			if one.Instruction == nil {
				return nil, fmt.Errorf("instruction %d: a condition without instruction", place)
			}
			isOurs = isOurs && one.NodeID == node
			one = one.Instruction
		}
		if err := one.check(); err != nil {
			return nil, fmt.Errorf("instruction %d: %w", place, err)
		}
		if isOurs {
			own = append(own, *one)
		}
	}
	if len(own) > 0 && own[0].Type != "initGossipSub" {
		return nil, errors.New("initGossipSub must come first")
	}
	return own, nil
}

func (i *instruction) check() error {
	switch i.Type {
	case "initGossipSub":
		_, err := i.gossipParams()
		return err
	case "connect", "waitUntil":
		return nil
	case "publish":
		if i.MessageSizeBytes < messageIDBytes {
			return fmt.Errorf("messageSizeBytes: must be %d at least", messageIDBytes)
		}
	case "subscribeToTopic", "setTopicValidationDelay", "addPartialMessage", "publishPartial":
	default:
		return fmt.Errorf("unknown type %q", i.Type)
	}
	if i.TopicID == "" {
		return fmt.Errorf("no topicID in %q", i.Type)
	}
	return nil
}

// gossipParams are the library's defaults, and what the script says instead.
func (i *instruction) gossipParams() (pubsub.GossipSubParams, error) {
	params := pubsub.DefaultGossipSubParams()
	err := json.Unmarshal(i.Params, &params)
	return params, err
}
