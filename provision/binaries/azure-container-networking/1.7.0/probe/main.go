// Boots azure-npm's data plane and nothing else: the call that npm/cmd/start.go of
// azure-container-networking makes once its telemetry, which waits three minutes
// outside Azure, has given up. It ends as azure-npm would there: 0, or 1 with its words.
package main

import (
	"fmt"
	"os"

	"github.com/Azure/azure-container-networking/common"
	"github.com/Azure/azure-container-networking/npm/pkg/dataplane"
	"github.com/Azure/azure-container-networking/npm/pkg/dataplane/ipsets"
	"github.com/Azure/azure-container-networking/npm/pkg/dataplane/policies"
)

func main() {
	config := &dataplane.Config{
		IPSetManagerCfg: &ipsets.IPSetManagerCfg{
			IPSetMode:   ipsets.ApplyAllIPSets,
			NetworkName: "azure",
		},
		PolicyManagerCfg: &policies.PolicyManagerCfg{PolicyMode: policies.IPSetPolicyMode},
	}
	stop := make(chan struct{})
	if _, err := dataplane.NewDataPlane("node", common.NewIOShim(), config, stop); err != nil {
		fmt.Fprintf(os.Stderr, "failed to start with err: failed to create dataplane with error %v\n", err)
		os.Exit(1)
	}
}
