// Raw keys with the Go client: `smoke API HOST:PORT …`, with API v1 or v2.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/pingcap/kvproto/pkg/kvrpcpb"
	"github.com/tikv/client-go/v2/config"
	"github.com/tikv/client-go/v2/rawkv"
)

const keys = 600

func key(number int) []byte   { return []byte(fmt.Sprintf("key%03d", number)) }
func value(number int) []byte { return []byte(fmt.Sprintf("value %d", number)) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func same(what string, found, expected any) {
	if fmt.Sprintf("%q", found) != fmt.Sprintf("%q", expected) {
		panic(fmt.Sprintf("%s: found %q, expected %q", what, found, expected))
	}
}

func main() {
	api := kvrpcpb.APIVersion_V1
	if os.Args[1] == "v2" {
		api = kvrpcpb.APIVersion_V2
	}
	ctx := context.Background()
	client, err := rawkv.NewClientWithOpts(ctx, os.Args[2:],
		rawkv.WithAPIVersion(api), rawkv.WithSecurity(config.Security{}))
	must(err)
	defer client.Close()
	fmt.Println("cluster", client.ClusterID())

	// Many at a time, so that they share batches on the stream.
	var group sync.WaitGroup
	failed := make(chan error, keys)
	for number := 0; number < keys; number += 2 {
		group.Add(1)
		go func() {
			defer group.Done()
			failed <- client.Put(ctx, key(number), value(number))
		}()
	}
	group.Wait()
	close(failed)
	for err := range failed {
		must(err)
	}
	var all, odd, values [][]byte
	for number := 0; number < keys; number++ {
		all = append(all, key(number))
		if number%2 == 1 {
			odd = append(odd, key(number))
			values = append(values, value(number))
		}
	}
	must(client.BatchPut(ctx, odd, values))

	found, err := client.Get(ctx, key(7))
	must(err)
	same("get", found, value(7))
	found, err = client.Get(ctx, []byte("absent"))
	must(err)
	if found != nil {
		panic("a key that is absent has a value")
	}
	several, err := client.BatchGet(ctx, all)
	must(err)
	for number, found := range several {
		same("batch get", found, value(number))
	}
	names, _, err := client.Scan(ctx, []byte("key"), []byte("kez"), 10_240)
	must(err)
	same("scan", names, all)
	names, _, err = client.Scan(ctx, key(95), key(505), 300)
	must(err)
	same("scan", names, all[95:395])
	names, _, err = client.ReverseScan(ctx, []byte("kez"), []byte("key"), 10_240)
	must(err)
	if len(names) != keys || !bytes.Equal(names[0], key(keys-1)) {
		panic(fmt.Sprintf("reverse scan: %d keys", len(names)))
	}
	must(client.Delete(ctx, key(0)))
	must(client.BatchDelete(ctx, [][]byte{key(1), key(300), key(599)}))
	must(client.DeleteRange(ctx, key(90), key(510)))
	names, _, err = client.Scan(ctx, []byte("key"), []byte("kez"), 10_240)
	must(err)
	same("what is left", names, append(append([][]byte{}, all[2:90]...), all[510:599]...))
	if api == kvrpcpb.APIVersion_V2 {
		must(client.PutWithTTL(ctx, []byte("long"), []byte("value"), 3600))
		left, err := client.GetKeyTTL(ctx, []byte("long"))
		must(err)
		if left == nil || *left == 0 || *left > 3600 {
			panic("how long a value lives is not told")
		}
	}
	client.SetAtomicForCAS(true)
	previous, swapped, err := client.CompareAndSwap(ctx, []byte("swap"), nil, []byte("one"))
	must(err)
	same("swap", []any{previous, swapped}, []any{[]byte(nil), true})
	previous, swapped, err = client.CompareAndSwap(ctx, []byte("swap"), []byte("x"), []byte("two"))
	must(err)
	same("swap", []any{previous, swapped}, []any{[]byte("one"), false})
	fmt.Println("all is well")
}
