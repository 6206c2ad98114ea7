// Verifies an export of an event log from standard input, as docs/chorus-log.md describes it, with
// nothing but Go's standard library: chain, heads and authors' signatures. Ed25519 keys only.
package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

type first struct {
	Export    string `json:"export"`
	Format    int    `json:"format"`
	Node      string `json:"node"`
	LogID     string `json:"log_id"`
	PublicKey []byte `json:"public_key"`
	After     struct {
		Index uint64 `json:"index"`
		Hash  string `json:"hash"`
	} `json:"after"`
}

type entry struct {
	Index       uint64          `json:"index"`
	Timestamp   time.Time       `json:"timestamp"`
	SentAt      time.Time       `json:"sent_at"`
	Author      string          `json:"author"`
	Type        string          `json:"type"`
	MessageType string          `json:"message_type"`
	Topic       string          `json:"topic"`
	ProjectID   string          `json:"project_id"`
	ThreadID    string          `json:"thread_id"`
	Origin      []byte          `json:"origin"`
	Data        json.RawMessage `json:"data"`
	Signed      []byte          `json:"signed"`
	PrevHash    string          `json:"prev_hash"`
	Hash        string          `json:"hash"`
	Signature   []byte          `json:"signature"`
}

func (e *entry) hash(previous []byte) []byte {
	fields := [][]byte{
		[]byte(e.Author), []byte(e.Type), []byte(e.MessageType), []byte(e.Topic),
		[]byte(e.ProjectID), []byte(e.ThreadID), e.Origin, e.Data, e.Signed,
	}
	var text bytes.Buffer
	text.WriteString("gossipsub-chorus-log:entry:1:")
	text.Write(previous)
	binary.Write(&text, binary.BigEndian, e.Index)
	binary.Write(&text, binary.BigEndian, e.Timestamp.UnixNano())
	binary.Write(&text, binary.BigEndian, e.SentAt.UnixNano())
	for _, field := range fields {
		binary.Write(&text, binary.BigEndian, uint32(len(field)))
	}
	for _, field := range fields {
		text.Write(field)
	}
	sum := sha256.Sum256(text.Bytes())
	return sum[:]
}

// signedByAuthor reads the pubsub message: 1 from, 2 data, 3 seqno, 4 topic, 5 signature, 6 key.
func (e *entry) signedByAuthor() bool {
	statement := []byte("libp2p-pubsub:")
	var from, seqno, topic, signature []byte
	for rest := e.Signed; len(rest) > 0; {
		tag, n := binary.Uvarint(rest)
		size, m := binary.Uvarint(rest[max(n, 0):])
		if n <= 0 || m <= 0 || tag&7 != 2 || uint64(len(rest)-n-m) < size {
			return false
		}
		end := n + m + int(size)
		value := rest[n+m : end]
		switch tag >> 3 {
		case 1:
			from = value
		case 3:
			seqno = value
		case 4:
			topic = value
		case 5:
			signature = value
		}
		if tag>>3 != 5 && tag>>3 != 6 {
			statement = append(statement, rest[:end]...)
		}
		rest = rest[end:]
	}
	// An Ed25519 peer id holds the key: identity multihash, type, 32 bytes.
	prefix := []byte{0, 36, 8, 1, 18, 32}
	return len(from) == 38 && bytes.HasPrefix(from, prefix) &&
		bytes.Equal(e.Origin, append(append([]byte{}, from...), seqno...)) &&
		e.Author == base58(from) && e.Topic == firstCharacters(string(topic), 256) &&
		ed25519.Verify(from[6:], statement, signature)
}

// base58 is the text of a peer id.
func base58(data []byte) string {
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	number, base, digit := new(big.Int).SetBytes(data), big.NewInt(58), new(big.Int)
	text := ""
	for number.Sign() > 0 {
		number.DivMod(number, base, digit)
		text = string(digits[digit.Int64()]) + text
	}
	for _, each := range data {
		if each != 0 {
			break
		}
		text = "1" + text
	}
	return text
}

func firstCharacters(text string, count int) string {
	characters := []rune(text)
	return string(characters[:min(len(characters), count)])
}

func verify() error {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	if !lines.Scan() {
		return errors.New("empty")
	}
	var log first
	if err := json.Unmarshal(lines.Bytes(), &log); err != nil {
		return err
	}
	if log.Export != "gossipsub-chorus-log" || log.Format != 1 || len(log.PublicKey) != 36 {
		return errors.New("not an export of format 1 with an Ed25519 key")
	}
	if log.Node != base58(append([]byte{0, 36}, log.PublicKey...)) {
		return errors.New("not the node of this key")
	}
	node := ed25519.PublicKey(log.PublicKey[4:])
	id, _ := hex.DecodeString(log.LogID)
	previous, _ := hex.DecodeString(log.After.Hash)
	genesis := sha256.Sum256(append(append([]byte("gossipsub-chorus-log:genesis:1:"), id...), log.PublicKey...))
	if log.After.Index == 0 && !bytes.Equal(previous, genesis[:]) {
		return errors.New("not the beginning of this log")
	}
	index, head, heads, messages := log.After.Index, log.After.Index, 0, 0
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("entry %d: %w", index+1, err)
		}
		index++
		hash := e.hash(previous)
		if e.Index != index || e.PrevHash != hex.EncodeToString(previous) || e.Hash != hex.EncodeToString(hash) {
			return fmt.Errorf("entry %d: the chain is broken", index)
		}
		if e.Signature != nil {
			statement := []byte("gossipsub-chorus-log:head:1:")
			statement = binary.BigEndian.AppendUint64(statement, index)
			statement = binary.BigEndian.AppendUint64(statement, head)
			if !ed25519.Verify(node, append(statement, hash...), e.Signature) {
				return fmt.Errorf("entry %d: the node's signature is wrong", index)
			}
			head = index
			heads++
		}
		if e.Signed == nil {
			if e.Origin != nil || e.Author != log.Node {
				return fmt.Errorf("entry %d: it names an author, and has no message", index)
			}
		} else {
			if !e.signedByAuthor() {
				return fmt.Errorf("entry %d: the author's signature is wrong", index)
			}
			messages++
		}
		previous = hash
	}
	if head != index {
		return fmt.Errorf("entry %d: the end is missing", index)
	}
	fmt.Printf("entries %d heads %d messages %d\n", index-log.After.Index, heads, messages)
	return lines.Err()
}

func main() {
	if err := verify(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
