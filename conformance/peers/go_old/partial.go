package main

import (
	"errors"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
)

// This file stands in for the one of the same name: the library's version knows no extensions.

var errNoExtensions = errors.New(
	"this version of the library has neither partial messages nor the test extension")

type partials struct{}

func (f *flags) topicOptions() []pubsub.TopicOpt { return nil }

// extensionOptions refuse what the flags ask for, as the library refuses its parameters.
func (n *node) extensionOptions() []pubsub.Option {
	if n.flags.partial == "off" && !n.flags.testExtension {
		return nil
	}
	return []pubsub.Option{func(*pubsub.PubSub) error { return errNoExtensions }}
}

func (n *node) cmdPartialAdd(*request) (fields, error) { return nil, errNoExtensions }
