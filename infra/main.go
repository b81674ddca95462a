// Command infra is the CDK app: the same stack as `sam deploy` makes. template.yaml is the one definition; this
// includes it and puts the built binaries in place of the source folders. It is a module of its own, so that the
// functions' module stays light. Context: name (of the stack; tocsin), network (any value: a stack of network.yaml
// beside it, <name>-network), and every parameter of the templates under its own name; a list has commas between.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssam"
	"github.com/aws/aws-cdk-go/awscdk/v2/cloudformationinclude"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// functions by their logical ids, without "Function".
var functions = []string{"Api", "Fanout", "Deliver", "Retry", "Count", "Report", "Feedback", "Erase"}

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	name, _ := app.Node().TryGetContext(jsii.String("name")).(string)
	if name == "" {
		name = "tocsin"
	}
	binaries, err := os.MkdirTemp("", "tocsin-infra-*")
	if err == nil {
		err = build("..", binaries)
	}
	if err == nil && app.Node().TryGetContext(jsii.String("network")) != nil {
		err = newNetwork(app, name+"-network", "..")
	}
	if err == nil {
		_, err = newStack(app, name, "..", binaries)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
	app.Synth(nil)
	if err := os.RemoveAll(binaries); err != nil { // the assets were copied by Synth
		fmt.Fprintln(os.Stderr, "infra:", err)
	}
}

// newNetwork includes network.yaml. It is a stack apart, whose outputs are parameters of the other one: the addresses
// stay when that one is deployed anew.
func newNetwork(app constructs.Construct, name, root string) error {
	file := filepath.Join(root, "network.yaml")
	stack := awscdk.NewStack(app, jsii.String(name), &awscdk.StackProps{
		Description: jsii.String("Fixed addresses for Tocsin's requests to customers' systems."),
	})
	parameters, err := parameters(stack, file)
	if err == nil {
		cloudformationinclude.NewCfnInclude(stack, jsii.String("Template"),
			&cloudformationinclude.CfnIncludeProps{TemplateFile: jsii.String(file), Parameters: parameters})
	}
	return err
}

// newStack includes the template of the repository at root, with the binaries of one folder a function.
func newStack(app constructs.Construct, name, root, binaries string) (awscdk.Stack, error) {
	stack := awscdk.NewStack(app, jsii.String(name), &awscdk.StackProps{
		Description: jsii.String(
			"Tocsin carries a security platform's events to the systems that its customers work in."),
	})
	parameters, err := parameters(stack, filepath.Join(root, "template.yaml"))
	if err != nil {
		return nil, err
	}
	template := cloudformationinclude.NewCfnInclude(stack, jsii.String("Template"),
		&cloudformationinclude.CfnIncludeProps{
			TemplateFile: jsii.String(filepath.Join(root, "template.yaml")), Parameters: parameters,
			// A function names the alarm that stops its deployment, and the alarm names the function. Of the first the
			// transform makes a deployment group, so that CloudFormation sees no circle; scripts/awslocal tests what it
			// sees.
			AllowCyclicalReferences: jsii.Bool(true),
		})
	for _, f := range functions {
		asset := awss3assets.NewAsset(stack, jsii.String(f+"Code"),
			&awss3assets.AssetProps{Path: jsii.String(filepath.Join(binaries, strings.ToLower(f)))})
		included := template.GetResource(jsii.String(f + "Function")).(awssam.CfnFunction)
		included.SetCodeUri(&awssam.CfnFunction_S3LocationProperty{Bucket: asset.S3BucketName(),
			Key: asset.S3ObjectKey()})
		// CDK's model of SAM drops what it does not know; a test compares every property with the template's.
		included.AddPropertyOverride(jsii.String("LoggingConfig"), map[string]any{
			"LogFormat": "JSON", "LogGroup": template.GetResource(jsii.String(f + "Logs")).Ref(),
		})
		if included.EventInvokeConfig() != nil { // a schedule calls it; the model asks for one of successes too
			included.SetEventInvokeConfig(&awssam.CfnFunction_EventInvokeConfigProperty{
				MaximumRetryAttempts: jsii.Number(2)})
			failed := template.GetResource(jsii.String("FailedInvocations")).GetAtt(jsii.String("Arn"),
				awscdk.ResolutionTypeHint_STRING)
			included.AddPropertyOverride(jsii.String("EventInvokeConfig.DestinationConfig.OnFailure"), map[string]any{
				"Type": "SQS", "Destination": failed,
			})
		}
	}
	machine := template.GetResource(jsii.String("RetryMachine")).(awssam.CfnStateMachine)
	definition := awss3assets.NewAsset(stack, jsii.String("RetryDefinition"), &awss3assets.AssetProps{
		Path: jsii.String(filepath.Join(root, "functions", "retry", "retry.asl.json")),
	})
	machine.SetDefinitionUri(&awssam.CfnStateMachine_S3LocationProperty{Bucket: definition.S3BucketName(),
		Key: definition.S3ObjectKey()})
	return stack, nil
}
