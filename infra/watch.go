package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/cloudformationinclude"
	"github.com/aws/jsii-runtime-go"
)

// watcher adds alarms and the lines of the dashboard.
type watcher struct {
	stack    awscdk.Stack
	template cloudformationinclude.CfnInclude
	action   awscloudwatch.IAlarmAction // nil when nobody is to be told
	board    awscloudwatch.Dashboard
}

// deadLetters are queues that stay empty while all is well, and what a message in one means.
var deadLetters = map[string]string{
	"EventsDeadLetters":       "Fan-out could not take events. Mend its fault, then redrive the queue.",
	"DeliveriesDeadLetters":   "The deliver function could not take parcels. Mend its fault, then redrive the queue.",
	"RetryDeadLetters":        "The retry function kept failing. Mend its fault, then redrive the queue to DeliveriesQueue.",
	"ReportJobsDeadLetters":   "Reports could not be made. Mend the fault, then redrive the queue.",
	"MailFeedbackDeadLetters": "The feedback function could not take in what SES said about mails.",
	"FailedInvocations":       "A schedule's call of a function failed.",
}

// oldest is when a queue is behind, in seconds.
const oldest = 300

func watch(stack awscdk.Stack, template cloudformationinclude.CfnInclude) {
	w := &watcher{stack: stack, template: template, board: awscloudwatch.NewDashboard(stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DefaultInterval: awscdk.Duration_Hours(jsii.Number(12)),
	})}
	if topic, ok := stack.Node().TryGetContext(jsii.String("alarmTopic")).(string); ok && topic != "" {
		w.action = awscloudwatchactions.NewSnsAction(awssns.Topic_FromTopicArn(stack, jsii.String("AlarmTopic"), &topic))
	}
	w.queues()
	w.functions()
	w.retries()
	w.disables()
	w.egress()
}

func (w *watcher) name(id string, attribute string) *string {
	return awscdk.Token_AsString(w.template.GetResource(jsii.String(id)).GetAtt(jsii.String(attribute), awscdk.ResolutionTypeHint_STRING), nil)
}

func (w *watcher) ref(id string) *string { return w.template.GetResource(jsii.String(id)).Ref() }

func metric(namespace, name, dimension string, value *string, statistic string) awscloudwatch.Metric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: &namespace, MetricName: &name, Statistic: &statistic, Period: awscdk.Duration_Minutes(jsii.Number(5)),
		DimensionsMap: &map[string]*string{dimension: value},
	})
}

func (w *watcher) alarm(id, description string, m awscloudwatch.IMetric, threshold float64, periods float64) {
	a := awscloudwatch.NewAlarm(w.stack, jsii.String(id), &awscloudwatch.AlarmProps{
		AlarmDescription: &description, Metric: m, Threshold: &threshold, EvaluationPeriods: &periods,
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD, TreatMissingData: awscloudwatch.TreatMissingData_NOT_BREACHING,
	})
	if w.action != nil {
		a.AddAlarmAction(w.action)
	}
}

func (w *watcher) graph(title string, metrics ...awscloudwatch.IMetric) {
	w.board.AddWidgets(awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{Title: &title, Left: &metrics, Width: jsii.Number(12)}))
}

func (w *watcher) queues() {
	var kept []awscloudwatch.IMetric
	for _, id := range []string{"EventsDeadLetters", "DeliveriesDeadLetters", "RetryDeadLetters", "ReportJobsDeadLetters", "MailFeedbackDeadLetters", "FailedInvocations"} {
		m := metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", w.name(id, "QueueName"), "Maximum")
		w.alarm(id+"Alarm", deadLetters[id], m, 0, 1)
		kept = append(kept, m)
	}
	var ages []awscloudwatch.IMetric
	for _, id := range []string{"EventsQueue", "UnknownEventsQueue", "DeliveriesQueue", "ReportJobsQueue", "MailFeedbackQueue"} {
		m := metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", w.name(id, "QueueName"), "Maximum")
		w.alarm(id+"AgeAlarm", "Work waits for more than five minutes: the function fails, or its concurrency is too low.", m, oldest, 2)
		ages = append(ages, m)
	}
	w.graph("Age of the oldest message, seconds", ages...)
	w.graph("What could not be processed", kept...)
}

func (w *watcher) functions() {
	var durations, all []awscloudwatch.IMetric
	for _, f := range functions {
		name := w.ref(f + "Function")
		errors := metric("AWS/Lambda", "Errors", "FunctionName", name, "Sum")
		calls := metric("AWS/Lambda", "Invocations", "FunctionName", name, "Sum")
		throttles := metric("AWS/Lambda", "Throttles", "FunctionName", name, "Sum")
		e, c := strings.ToLower(f)+"_errors", strings.ToLower(f)+"_calls" // ids are those of a whole graph
		rate := awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
			Expression: jsii.String("IF(" + c + " > 0, 100 * " + e + " / " + c + ", 0)"), Label: jsii.String(f + " errors, %"), Period: awscdk.Duration_Minutes(jsii.Number(5)),
			UsingMetrics: &map[string]awscloudwatch.IMetric{e: errors, c: calls},
		})
		w.alarm(f+"ErrorsAlarm", "More than one in a hundred calls of the function fails.", rate, 1, 3)
		w.alarm(f+"ThrottlesAlarm", "The function is throttled: the account's concurrency is used up.", throttles, 0, 3)
		all = append(all, rate)
		durations = append(durations, metric("AWS/Lambda", "Duration", "FunctionName", name, "p99"))
	}
	w.graph("Errors of the functions, %", all...)
	w.graph("Duration of the functions, p99, ms", durations...)
}

func (w *watcher) retries() {
	machine := w.ref("RetryMachine")
	failed := metric("AWS/States", "ExecutionsFailed", "StateMachineArn", machine, "Sum")
	w.alarm("RetryFailedAlarm", "Retries of a batch broke off: it is in RetryDeadLetters.", failed, 0, 1)
	w.graph("Retry executions", metric("AWS/States", "ExecutionsStarted", "StateMachineArn", machine, "Sum"), failed)
}

// disables counts the integrations that were switched off because they kept failing, by the functions' logs.
func (w *watcher) disables() {
	m := w.counted("Disables", "IntegrationsDisabled", `{ $.msg = "integration_broken" }`)
	w.alarm("DisablesAlarm", "Many integrations were switched off within five minutes: is our own way out of order?", m, 10, 1)
	w.graph("Integrations switched off because they kept failing", m)
}

// egress is the fleet's breaker (package delivery): nothing can be reached, and deliveries wait for it.
func (w *watcher) egress() {
	m := w.counted("Egress", "EgressGone", `{ $.alarm = "egress" }`)
	w.alarm("EgressAlarm", "Nothing can be reached from the functions: look at NAT, DNS and the proxy. Deliveries wait, and lose no attempt.", m, 0, 1)
	w.graph("Functions that could reach nothing", m)
}

// counted counts lines of the logs of the functions that send.
func (w *watcher) counted(id, name, pattern string) awscloudwatch.Metric {
	const namespace = "Tocsin"
	for _, f := range []string{"Deliver", "Retry"} {
		awslogs.NewCfnMetricFilter(w.stack, jsii.String(f+id), &awslogs.CfnMetricFilterProps{
			LogGroupName: w.ref(f + "Logs"), FilterPattern: &pattern,
			MetricTransformations: &[]*awslogs.CfnMetricFilter_MetricTransformationProperty{{
				MetricNamespace: jsii.String(namespace), MetricName: awscdk.Fn_Join(jsii.String("-"), &[]*string{&name, w.stack.StackName()}),
				MetricValue: jsii.String("1"), DefaultValue: jsii.Number(0),
			}},
		})
	}
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(namespace), MetricName: jsii.String(name + "-" + *w.stack.StackName()), Statistic: jsii.String("Sum"),
		Period: awscdk.Duration_Minutes(jsii.Number(5)),
	})
}
