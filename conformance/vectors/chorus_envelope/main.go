// Prints what Go's encoding/json makes of the CHORUS envelope.
//
//	go run . > vectors.json    the vectors the Python tests compare with
//	go run . recode            each line of standard input, base64 of JSON, is decoded into the
//	                           struct and encoded again: base64 of JSON, or "error"
//
// Needs Go 1.22 or newer (older ones escape \b and \f differently) without GOEXPERIMENT=jsonv2.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"strings"
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

type floatCase struct {
	Bits string `json:"bits"`
	Text string `json:"text"`
}

type stringCase struct {
	UTF8 string `json:"utf8_hex"`
	Text string `json:"text"`
}

type timeCase struct {
	UnixNs string `json:"unix_ns"`
	Offset int    `json:"offset_seconds"`
	Text   string `json:"text"`
}

type parseCase struct {
	Text   string `json:"text"`
	UnixNs string `json:"unix_ns,omitempty"`
	Valid  bool   `json:"valid"`
}

type envelopeCase struct {
	Name    string `json:"name"`
	Encoded string `json:"encoded"`
}

type decodeCase struct {
	Name    string `json:"name"`
	Input   string `json:"input_hex"`
	Valid   bool   `json:"valid"`
	Encoded string `json:"encoded,omitempty"`
}

type lowerCase struct {
	Identifier string `json:"identifier"`
	Text       string `json:"text"`
}

type vectors struct {
	Floats     []floatCase    `json:"floats"`
	Strings    []stringCase   `json:"strings"`
	Times      []timeCase     `json:"times"`
	TimeTexts  []parseCase    `json:"time_texts"`
	Envelopes  []envelopeCase `json:"envelopes"`
	Decodings  []decodeCase   `json:"decodings"`
	Identifier []lowerCase    `json:"identifiers"`
}

const peer = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

var moment = time.Unix(1735787045, 123456789).UTC()

func encode(value interface{}) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		log.Fatal(err)
	}
	return string(encoded)
}

func floats() []floatCase {
	values := []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 0.5, 1.0 / 3, 0.95, 100, 123456789, 1e15, 1e16, 1e20,
		1.2345678901234567e20, 9.999999999999998e20, 1e21, 1.5e21, -1e21, 1e22, 1e100, 1e-5, 1e-6,
		1.5e-6, 9.99e-7, 1e-7, -1.25e-7, 1e-9, 1e-10, 1e-100, 1 << 53, 1<<53 + 2, 4503599627370495.5,
		math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308,
	}
	state := uint64(1)
	next := func() uint64 { // splitmix64
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	for len(values) < 200 {
		if value := math.Float64frombits(next()); !math.IsNaN(value) && !math.IsInf(value, 0) {
			values = append(values, value)
		}
	}
	for len(values) < 400 { // exponents around which the form changes
		exponent := 1023 - 30 + next()%110
		values = append(values, math.Float64frombits(next()&(1<<63|1<<52-1)|exponent<<52))
	}
	cases := make([]floatCase, 0, len(values))
	for _, value := range values {
		cases = append(cases, floatCase{fmt.Sprintf("%016x", math.Float64bits(value)), encode(value)})
	}
	return cases
}

func stringCases() []stringCase {
	values := []string{
		"", "plain", `quote " and \ backslash`, "/", "<b>&amp;</b>", "\u2028 and \u2029", "é ü ß",
		"日本語", "😀", "\ufeff", "\ufffd", "\x7f", "\u0080", "\uffff", "\U0010ffff",
		"\xff", "a\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf0\x9f\x98", "\xc0\xaf", "\x80\x80<",
	}
	for c := 0; c < 0x20; c++ {
		values = append(values, string(rune(c)))
	}
	cases := make([]stringCase, 0, len(values))
	for _, value := range values {
		cases = append(cases, stringCase{hex.EncodeToString([]byte(value)), encode(value)})
	}
	return cases
}

func times() []timeCase {
	instants := []time.Time{
		moment, time.Unix(0, 0), time.Unix(0, 1), time.Unix(0, 100), time.Unix(1, 500000000),
		time.Unix(-1, 999999999), time.Unix(1709164800, 120000000), time.Unix(951782400, 1000),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
	}
	cases := []timeCase{}
	for _, instant := range instants {
		for _, offset := range []int{0, 7200, -34200, 20700, 86340 - 3600} {
			at := instant.In(time.FixedZone("", offset))
			if offset == 0 {
				at = instant.UTC()
			}
			text, err := json.Marshal(at)
			if err != nil || at.Year() < 1 {
				continue // beyond the years RFC 3339 has, or datetime
			}
			unixNs := fmt.Sprintf("%d%09d", instant.Unix(), instant.Nanosecond())
			if instant.Unix() < 0 {
				// The nanoseconds count upwards from the second below.
				unixNs = fmt.Sprintf("-%d%09d", -instant.Unix()-1, 1000000000-instant.Nanosecond())
				if instant.Nanosecond() == 0 {
					unixNs = fmt.Sprintf("-%d%09d", -instant.Unix(), 0)
				}
			}
			cases = append(cases, timeCase{unixNs, offset, strings.Trim(string(text), `"`)})
		}
	}
	return cases
}

func timeTexts() []parseCase {
	texts := []string{
		"2025-01-02T03:04:05Z", "2025-01-02T03:04:05.1Z", "2025-01-02T03:04:05.123456789Z",
		"2025-01-02T03:04:05.100Z", "2025-01-02T03:04:05.000000000Z", "2025-01-02T03:04:05+00:00",
		"2025-01-02T03:04:05-00:00", "2025-01-02T03:04:05+02:00", "2025-01-02T03:04:05.5-09:30",
		"2025-01-02T03:04:05+23:59", "2024-02-29T00:00:00Z", "1969-12-31T23:59:59.999999999Z",
		"2025-02-29T00:00:00Z", "2025-13-01T00:00:00Z", "2025-00-01T00:00:00Z", "2025-01-32T00:00:00Z",
		"2025-01-02T24:00:00Z", "2025-01-02T03:60:05Z", "2025-01-02T03:04:60Z",
		"2025-01-02T03:04:05+24:00", "2025-01-02T03:04:05+02:60", "2025-01-02T03:04:05+0200",
		"2025-01-02t03:04:05Z", "2025-01-02T03:04:05z", "2025-01-02 03:04:05Z", "2025-01-02T3:04:05Z",
		"2025-01-02T03:04:05,5Z", "2025-01-02T03:04:05.Z", "2025-01-02T03:04:05", "2025-01-02",
		"", " 2025-01-02T03:04:05Z", "2025-01-02T03:04:05Z ", "12025-01-02T03:04:05Z",
		"٢٠٢٥-01-02T03:04:05Z", "2025-01-02T03:04:05.٥Z", "2025-01-02T03:04:05+0٢:00",
	}
	cases := make([]parseCase, 0, len(texts))
	for _, text := range texts {
		var at time.Time
		if json.Unmarshal([]byte(encode(text)), &at) != nil {
			cases = append(cases, parseCase{Text: text})
		} else {
			cases = append(cases, parseCase{text, fmt.Sprint(at.UnixNano()), true})
		}
	}
	return cases
}

type object = map[string]interface{}

func envelopes() []envelopeCase {
	cases := []envelopeCase{}
	add := func(name string, message Message) {
		cases = append(cases, envelopeCase{name, encode(message)})
	}
	with := func(data object) Message {
		return Message{Type: "task_progress", From: peer, Timestamp: moment, Data: data}
	}
	types := strings.Fields(`task_announcement task_claim task_progress task_complete
		capability_broadcast availability_broadcast meta_discussion task_help_request
		task_help_response coordination_request coordination_complete dependency_alert
		escalation_trigger role_announcement expertise_request expertise_response status_update
		work_allocation role_collaboration mentorship_request mentorship_response project_update
		deliverable_ready feedback_event context_request context_response context_usage
		context_relevance slurp_event_generated slurp_event_ack slurp_context_update`)
	for index, name := range types {
		add("type "+name, Message{Type: name, From: peer, Timestamp: moment, Data: object{"index": index}})
	}
	add("all zero", Message{})
	add("nil data", with(nil))
	add("empty data", with(object{}))
	full := with(object{"completion": 0.45})
	full.HopCount, full.FromRole, full.ProjectID = 3, "Junior Developer", "project-789"
	full.ToRoles = []string{"Senior Developer", "Architect"}
	full.RequiredExpertise = []string{"distributed_systems", "golang"}
	full.Priority, full.ThreadID = "high", "thread-abc"
	add("every field", full)
	bare := with(object{})
	bare.ToRoles, bare.RequiredExpertise = []string{}, []string{""}
	add("empty lists", bare)
	marked := with(object{"<&>": "\u2028"})
	marked.Type, marked.From, marked.FromRole = "a<b", "x&y", "R&D \"lead\"\n"
	marked.ToRoles, marked.ThreadID = []string{"<all>", "é"}, "\u2029"
	add("escapes in every kind of field", marked)
	add("keys are sorted by bytes", with(object{
		"b": 1, "a": 2, "B": 3, "": 4, "é": 5, "\uffff": 6, "😀": 7, "aa": 8, "_": 9, "a b": 10,
	}))
	add("nested", with(object{
		"map":   object{"z": object{"y": []interface{}{}}, "a": object{}},
		"list":  []interface{}{1, "two", 3.5, true, false, nil, []interface{}{nil}, object{"k": nil}},
		"texts": []string{"deployment", "kubernetes"},
	}))
	add("integers", with(object{
		"zero": 0, "negative": -1, "int64": int64(math.MaxInt64), "least": int64(math.MinInt64),
		"uint64": uint64(math.MaxUint64), "above_2_53": int64(1<<53 + 1),
	}))
	add("floats", with(object{
		"whole": 1.0, "half": 0.5, "small": 1e-6, "smaller": 1e-7, "big": 1e20, "bigger": 1e21,
		"minus_zero": math.Copysign(0, -1), "digits": 1.2345678901234567e20,
	}))
	zone := with(object{})
	zone.Timestamp = moment.In(time.FixedZone("", 7200))
	add("another zone", zone)
	return cases
}

func decodings() []decodeCase {
	head := `{"type":"t","from":"f","timestamp":"2025-01-02T03:04:05Z"`
	inputs := [][2]string{
		{"smallest", head + `,"data":{}}`},
		{"white space", " \t\r\n{ \"type\" : \"t\" , \"from\":\"f\",\"timestamp\":\"2025-01-02T03:04:05Z\",\n\"data\":{ } }\n"},
		{"fields in another order", `{"data":{"a":1},"timestamp":"2025-01-02T03:04:05Z","from":"f","type":"t"}`},
		{"unknown fields", head + `,"data":{},"extra":[1,{"a":null}],"v":2}`},
		{"a repeated field", head + `,"data":{},"type":"u","type":"w"}`},
		{"a repeated key in data", head + `,"data":{"a":1,"a":{"b":2},"a":3}}`},
		{"a repeated data", head + `,"data":{"a":1},"data":{"b":2}}`},
		{"a field in another case", head + `,"data":{},"FROM":"g"}`},
		{"a field with a long s", head + `,"data":{},"to_role` + "\u017f" + `":["x"]}`},
		{"a field with a ligature", head + `,"data":{},"time` + "\ufb06" + `amp":7}`},
		{"a field of the same letters with accents", head + `,"data":{},"týpe":7}`},
		{"no type", `{"from":"f","timestamp":"2025-01-02T03:04:05Z","data":{}}`},
		{"no data", head + `}`},
		{"nothing", `{}`},
		{"null data", head + `,"data":null}`},
		{"null type", `{"type":null,"from":"f","timestamp":"2025-01-02T03:04:05Z","data":{}}`},
		{"null in optional fields", head + `,"data":{},"hop_count":null,"to_roles":null,"priority":null}`},
		{"null in a list of texts", head + `,"data":{},"to_roles":[null]}`},
		{"null", `null`},
		{"an array", `[]`},
		{"a string", `"x"`},
		{"a number for a text", `{"type":1,"from":"f","timestamp":"2025-01-02T03:04:05Z","data":{}}`},
		{"a list for data", head + `,"data":[]}`},
		{"a text for a list", head + `,"data":{},"to_roles":"x"}`},
		{"a number in a list of texts", head + `,"data":{},"to_roles":[1]}`},
		{"hop count with a fraction", head + `,"data":{},"hop_count":1.0}`},
		{"hop count with an exponent", head + `,"data":{},"hop_count":1e0}`},
		{"hop count as text", head + `,"data":{},"hop_count":"1"}`},
		{"hop count true", head + `,"data":{},"hop_count":true}`},
		{"hop count 0", head + `,"data":{},"hop_count":0}`},
		{"hop count 3", head + `,"data":{},"hop_count":3}`},
		{"hop count below 0", head + `,"data":{},"hop_count":-1}`},
		{"timestamp as a number", `{"type":"t","from":"f","timestamp":5,"data":{}}`},
		{"timestamp as other text", `{"type":"t","from":"f","timestamp":"now","data":{}}`},
		{"timestamp with escapes", `{"type":"t","from":"f","timestamp":"2025-01-02\u005403:04:05Z","data":{}}`},
		{"timestamp of the year 0", `{"type":"t","from":"f","timestamp":"0000-01-02T03:04:05Z","data":{}}`},
		{"timestamp with ten digits", `{"type":"t","from":"f","timestamp":"2025-01-02T03:04:05.1234567891Z","data":{}}`},
		{"numbers", head + `,"data":{"a":[0,-0,1.0,1e3,1E+3,12e-1,-0.0,1e-7,123456789,1.7976931348623157e308]}}`},
		{"number beyond a float64", head + `,"data":{"a":1e309}}`},
		{"integer beyond a float64", head + `,"data":{"a":` + strings.Repeat("9", 310) + `}}`},
		{"greatest integer of a float64", head + `,"data":{"a":` + "17976931348623157" + strings.Repeat("0", 292) + `}}`},
		{"number that underflows", head + `,"data":{"a":1e-400}}`},
		{"NaN", head + `,"data":{"a":NaN}}`},
		{"Infinity", head + `,"data":{"a":-Infinity}}`},
		{"leading zero", head + `,"data":{"a":01}}`},
		{"leading plus", head + `,"data":{"a":+1}}`},
		{"bare point", head + `,"data":{"a":1.}}`},
		{"hexadecimal", head + `,"data":{"a":0x1}}`},
		{"trailing comma", head + `,"data":{"a":1,}}`},
		{"single quotes", head + `,"data":{'a':1}}`},
		{"comment", head + `,"data":{}/**/}`},
		{"text after it", head + `,"data":{}}{}`},
		{"cut off", head + `,"data":{}`},
		{"empty", ``},
		{"byte order mark", "\ufeff" + head + `,"data":{}}`},
		{"control character in a string", head + ",\"data\":{\"a\":\"\x01\"}}"},
		{"unknown escape", head + `,"data":{"a":"\x41"}}`},
		{"escapes", head + `,"data":{"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\u2028"}}`},
		{"surrogate pair", head + `,"data":{"a":"\ud83d\ude00"}}`},
		{"lone surrogates", head + `,"data":{"a":"\ud83d","b":"x\ude00y","c":"\ud83d\u0041","d":"\ud83d\ud83d\ude00"}}`},
		{"short escape", head + `,"data":{"a":"\u12"}}`},
		{"invalid UTF-8 in a value", head + ",\"data\":{\"a\":\"\xff\xc3(\xe2\x82\xf0\x9f\x98\xed\xa0\x80\"}}"},
		{"invalid UTF-8 in a key", head + ",\"data\":{\"\xff\":1}}"},
		{"invalid UTF-8 outside of strings", head + ",\"data\":{}\xff}"},
		{"NUL after it", head + ",\"data\":{}}\x00"},
		{"no break space between tokens", head + ",\u00a0\"data\":{}}"},
		{"other digits", head + `,"data":{"a":١}}`},
	}
	cases := make([]decodeCase, 0, len(inputs))
	for _, input := range inputs {
		var message Message
		this := decodeCase{Name: input[0], Input: hex.EncodeToString([]byte(input[1]))}
		if json.Unmarshal([]byte(input[1]), &message) == nil {
			this.Valid, this.Encoded = true, encode(message)
		}
		cases = append(cases, this)
	}
	return cases
}

func identifiers() []lowerCase {
	cases := []lowerCase{}
	for _, identifier := range []string{
		"Senior Developer", "golang", "C++", "R&D", " a  b ", "ÄÖÜ", "ΟΔΟΣ", "İstanbul", "ẞ", "Ǆ", "日本 語",
	} {
		text := strings.ReplaceAll(strings.ToLower(identifier), " ", "_")
		cases = append(cases, lowerCase{identifier, text})
	}
	return cases
}

func recode() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<24)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for input.Scan() {
		text, err := base64.StdEncoding.DecodeString(input.Text())
		if err != nil {
			log.Fatal(err)
		}
		var message Message
		answer := "error"
		if json.Unmarshal(text, &message) == nil {
			answer = base64.StdEncoding.EncodeToString([]byte(encode(message)))
		}
		fmt.Fprintln(output, answer)
	}
	if err := input.Err(); err != nil {
		log.Fatal(err)
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "recode" {
		recode()
		return
	}
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	output.SetIndent("", " ")
	err := output.Encode(vectors{
		floats(), stringCases(), times(), timeTexts(), envelopes(), decodings(), identifiers(),
	})
	if err != nil {
		log.Fatal(err)
	}
}
