// StartExecution and DescribeExecution over an independent interpreter of the Amazon States Language (npm
// aws-local-stepfunctions). Task states are handed to the program that started this one; waits last as long as it says.
// GET /executions lists what ran.
// Run: node stepfunctions.mjs <definition file> <port> <address of the caller> <milliseconds of a wait>
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.cwd() + '/');
const { StateMachine, ExecutionError } = require('aws-local-stepfunctions');
const [file, port, caller, wait] = process.argv.slice(2);
const machine = new StateMachine(JSON.parse(readFileSync(file, 'utf8')));
const executions = new Map();

async function task(state, input) {
  const answer = await fetch(`${caller}/${encodeURIComponent(state)}`, { method: 'POST', body: JSON.stringify(input) });
  const body = await answer.text();
  if (!answer.ok) {
    const error = new Error(body);
    error.name = answer.headers.get('x-error-type'); // what the state's retriers are matched with
    throw error;
  }
  return JSON.parse(body);
}

async function run(execution) {
  const running = machine.run(execution.input, {
    overrides: {
      taskResourceLocalHandlers: { Attempt: (i) => task('Attempt', i), 'Dead letter': (i) => task('Dead letter', i) },
      waitTimeOverrides: { Wait: Number(wait) },
      retryIntervalOverrides: { Attempt: Number(wait), 'Dead letter': Number(wait) },
    },
  });
  const watch = (async () => {
    for await (const event of running.eventLogs) {
      if (event.type === 'StateEntered' || event.type === 'StateRetried') execution.transitions++;
      if (event.type === 'StateEntered' && event.state.name === 'Wait') execution.waits.push(event.state.input.seconds);
    }
  })();
  try {
    execution.output = await running.result;
    execution.status = 'SUCCEEDED';
  } catch (error) {
    execution.status = 'FAILED';
    execution.error = String(error?.message ?? error);
  }
  await watch.catch(() => {});
}

createServer((request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify(body));
  };
  if (request.method === 'GET') return answer(200, [...executions.values()]);
  let raw = '';
  request.on('data', (chunk) => { raw += chunk; });
  request.on('end', () => {
    const { name, input, executionArn } = JSON.parse(raw);
    if (request.headers['x-amz-target'] === 'AWSStepFunctions.DescribeExecution') {
      const execution = executions.get(executionArn.split(':').pop());
      if (!execution) return answer(400, { __type: 'ExecutionDoesNotExist', message: 'Execution Does Not Exist' });
      return answer(200, { executionArn, stateMachineArn: 'retry', startDate: 0, status: execution.status });
    }
    const known = executions.get(name);
    if (known) {
      return answer(400, { __type: 'ExecutionAlreadyExists', message: 'Execution Already Exists' });
    }
    const execution = { name, input: JSON.parse(input), status: 'RUNNING', waits: [], transitions: 0 };
    executions.set(name, execution);
    run(execution);
    answer(200, { executionArn: `arn:aws:states:eu-west-1:000000000000:execution:retry:${name}`, startDate: Date.now() / 1000 });
  });
}).listen(Number(port), '127.0.0.1');
