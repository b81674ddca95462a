// The test button: each step as it ends, then the outcome, message by message.
import { html, useEffect, useRef, useState } from "../html.js";
import { duration, languageOf, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction } from "../load.js";
import { Busy, Notice, Said } from "../ui.js";

// useTest runs test(told, signal) and keeps what it tells. clear ends a test and forgets it.
export function useTest(test) {
	const [steps, setSteps] = useState([]);
	const [result, setResult] = useState(null);
	const running = useRef(null);
	const [run, { busy, error }, forget] = useAction(async () => {
		const control = new AbortController();
		running.current = control;
		setSteps([]);
		setResult(null);
		try {
			const found = await test((step) => setSteps((all) => [...all, step]), control.signal);
			if (!control.signal.aborted) setResult(found);
		} catch (e) {
			if (!control.signal.aborted) throw e;
		}
	});
	const clear = () => {
		running.current?.abort();
		running.current = null;
		setSteps([]);
		setResult(null);
		forget();
	};
	useEffect(() => () => running.current?.abort(), []);
	return { run, busy, error, steps, result, clear };
}

const stepWords = (s) => t(`step.${s.kind}${s.failed ? ".not" : ""}`);

const shownKinds = ["name", "address", "connected", "certificate", "tls", "reused", "sent", "answered", "credential"];

const Steps = ({ steps }) => html`
	<ol class="steps">
		${steps.map(
			(s, n) => html`
				<li key=${n} class=${s.failed ? "bad" : ""}>
					<${Icon} name=${s.failed ? "cross" : "check"} size="14" />
					<span>${stepWords(s)}</span>
					${" "}
					<span class="muted">${duration(s.after_ms)}</span>
				</li>
			`,
		)}
	</ol>
`;

function Message({ message: m, steps }) {
	return html`
		<li>
			<div class="tested-line">
				${m.pending
					? html`
							<span class="spinner" aria-hidden="true"></span>
						`
					: html`
							<${Icon}
								name=${m.delivered ? "check" : "cross"}
								size="16"
								label=${m.delivered ? t("test.ok") : t("test.bad")}
							/>
						`}
				${" "}
				<span lang=${languageOf(m.summary)}>${m.summary}</span>
				${" "}
				${!m.pending &&
				html`
					<span class="muted">
						${m.status
							? t("test.answered", { status: String(m.status), took: duration(m.took_ms) })
							: t("test.silent", { took: duration(m.took_ms) })}
					</span>
				`}
			</div>
			${steps.length > 0 &&
			html`
				<${Steps} steps=${steps} />
			`}
			${m.reason &&
			html`
				<p class="mend"><${Said} text=${m.reason} /></p>
			`}
			${m.answer &&
			html`
				<pre tabindex="0" aria-label=${t("test.answer")}>${m.answer}</pre>
			`}
		</li>
	`;
}

const words = ({ busy, result }) => {
	if (result) return result.delivered ? t("test.arrived", { n: result.messages.length }) : t("test.failed");
	return busy ? t("test.running") : "";
};

// spoken is what a screen reader says: the steps one by one, then the outcome with its reason.
function spoken({ busy, steps, result }) {
	if (result) {
		const failed = result.messages.find((m) => !m.delivered);
		return failed?.reason ? `${words({ result })} ${failed.reason}` : words({ result });
	}
	const last = steps.findLast((s) => shownKinds.includes(s.kind));
	return last && busy ? stepWords(last) : words({ busy });
}

// Tested shows what useTest keeps; its live region is there before, for screen readers to watch.
export function Tested({ of }) {
	const { busy, steps, result } = of;
	const messages = result
		? result.messages
		: [...new Map(steps.map((s) => [s.message, s])).values()].map((last) => ({
				summary: last.summary,
				pending: last.kind !== "ended",
				delivered: last.kind === "ended" && !last.failed,
				took_ms: last.after_ms,
			}));
	const stepsOf = (n) => steps.filter((s) => s.message === n + 1 && shownKinds.includes(s.kind));
	const kind = !result ? "info" : result.delivered ? "ok" : "bad";
	return html`
		<p class="visually-hidden" role="status">${spoken(of)}</p>
		${(busy || result) &&
		html`
			<div class="tested">
				<${Notice} kind=${kind}>
					<p>
						<strong><${Busy} on=${busy}>${words(of)}<//></strong>
					</p>
					<ol class="plain">
						${messages.map(
							(m, n) => html`
								<${Message} key=${n} message=${m} steps=${stepsOf(n)} />
							`,
						)}
					</ol>
				<//>
			</div>
		`}
	`;
}
