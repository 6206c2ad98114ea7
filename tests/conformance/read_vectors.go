// Reads message_signing.json with nothing but Go's standard library and prints the names of the
// messages it finds valid; those signed with secp256k1, which is not in there, it prints as unknown.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

// fields gives the last value of each length-delimited field, and of each varint below 128.
func fields(data []byte) map[uint64][]byte {
	found := map[uint64][]byte{}
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 || len(data) == n {
			return nil
		}
		data = data[n:]
		size, n := binary.Uvarint(data)
		if tag&7 == 0 {
			found[tag>>3], data = []byte{byte(size)}, data[n:]
			continue
		}
		if n <= 0 || tag&7 != 2 || size > uint64(len(data)-n) {
			return nil
		}
		found[tag>>3], data = data[n:n+int(size)], data[n+int(size):]
	}
	return found
}

func verify(message, signed []byte) string {
	m := fields(message)
	author, key := m[1], m[6]
	if len(m[3]) != 8 || len(author) < 2 || int(author[1]) != len(author)-2 {
		return "invalid"
	}
	if digest := sha256.Sum256(key); author[0] == 0 && (key == nil || bytes.Equal(key, author[2:])) {
		key = author[2:]
	} else if author[0] != 0x12 || !bytes.Equal(author[2:], digest[:]) {
		return "invalid"
	}
	kind, data, digest, valid := fields(key)[1], fields(key)[2], sha256.Sum256(signed), false
	parsed, _ := x509.ParsePKIXPublicKey(data)
	switch public := parsed.(type) {
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], m[5]) == nil
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(public, digest[:], m[5])
	default:
		if bytes.Equal(kind, []byte{2}) && len(data) == 33 && len(m[5]) > 64 {
			return "unknown"
		}
		valid = len(data) == 32 && ed25519.Verify(data, signed, m[5])
	}
	if valid {
		return "valid"
	}
	return "invalid"
}

func main() {
	var file struct {
		Vectors []struct{ Name, Message, Signed string }
	}
	if err := json.NewDecoder(os.Stdin).Decode(&file); err != nil {
		panic(err)
	}
	for _, vector := range file.Vectors {
		message, _ := hex.DecodeString(vector.Message)
		signed, _ := hex.DecodeString(vector.Signed)
		fmt.Printf("%s\t%s\n", vector.Name, verify(message, signed))
	}
}
