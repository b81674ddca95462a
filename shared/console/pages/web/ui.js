// What every view is made of.
import { html, classes, useEffect, useRef, useId, useState } from "./html.js";
import { Icon } from "./icons.js";
import { ago, langOf, said, t, time, timeOfDay, zoneName } from "./i18n.js";
import { useUnsaved } from "./router.js";

// Pill tells a state by its colour, its icon and its word.
export const Pill = ({ kind, icon, children }) => html`
	<span class=${`pill ${kind}`}>
		<${Icon} name=${icon} size="14" />
		${children}
	</span>
`;

export const Notice = ({ kind = "info", children, role }) => html`
	<div class=${`notice ${kind}`} role=${role}>
		<${Icon} name=${{ bad: "alert", ok: "check", warn: "alert", info: "info" }[kind]} />
		<div>${children}</div>
	</div>
`;

// reasonOf is an error in words for a person.
export function reasonOf(error) {
	if (error.status === 0) return t("error.unreachable");
	if (error.status === 401) return t("error.signedout");
	if (error.status === 403) return t("error.forbidden");
	if (error.status === 404) return t("error.missing");
	if (error.status === 429) return t("error.busy");
	return error.message || t("error.unknown");
}

export function Failure({ error, retry }) {
	return html`
		<${Notice} kind="bad" role="alert">
			<p>
				<strong>${t("error.title")}</strong>
				${" "}${reasonOf(error)}
			</p>
			${retry &&
			html`
				<p><button type="button" class="quiet" onClick=${retry}>${t("action.again")}</button></p>
			`}
		<//>
	`;
}

// ErrorAt is what is wrong with a field; its place is there while nothing is, for screen readers to watch.
export const ErrorAt = ({ id, text }) => html`
	<p class="error" id=${id} aria-live="polite">
		${text
			? html`
					<${Icon} name="alert" size="16" />
					${text}
				`
			: ""}
	</p>
`;

export const Empty = ({ icon, title, children }) => html`
	<div class="empty">
		<span class="empty-icon"><${Icon} name=${icon} size="28" /></span>
		<h2>${title}</h2>
		${children}
	</div>
`;

// Skeleton holds the place of what is being read.
export function Skeleton({ kind = "rows", count = 6 }) {
	return html`
		<div class=${`skeletons ${kind}`} role="status" aria-label=${t("loading")}>
			${Array.from(
				{ length: count },
				() => html`
					<div class="skeleton"></div>
				`,
			)}
		</div>
	`;
}

// View shows what useLoad found: its error, its place while it is read, or what it read. What is read brings its own
// heading where `title` is given: that one stands in for it until then.
export function View({ load, skeleton = "rows", count, title, children }) {
	if (load.data)
		return html`
			${load.error &&
			html`
				<${Failure} error=${load.error} retry=${load.reload} />
			`}${children(load.data)}
		`;
	const heading =
		title &&
		html`
			<h1 tabindex="-1">${title}</h1>
		`;
	if (load.error)
		return html`
			${heading}
			<${Failure} error=${load.error} retry=${load.reload} />
		`;
	return html`
		${heading}
		<${Skeleton} kind=${skeleton} count=${count} />
	`;
}

export const Busy = ({ on, children }) => html`
	${on &&
	html`
		<span class="spinner" aria-hidden="true"></span>
	`}${children}
`;

// Said is a text of the API; one that has no translation is marked as English for screen readers.
export const Said = ({ text }) => html`
	<span lang=${langOf(text)}>${said(text)}</span>
`;

// When is a time in words, with the exact one to hover over.
export const When = ({ at, exact }) => html`
	<time datetime=${at} title=${time(at, { seconds: true })}>${exact ? time(at, { seconds: true }) : ago(at)}</time>
`;

// Changed says who changed an object last, and when, once it is another one than was made.
export const Changed = ({ of }) => {
	if (of.revision === 1 || !of.updated_by) return null; // who did so in an older release is not known
	const who = of.updated_by === "system" ? t("activity.source.system") : of.updated_by;
	return html`
		<span>${t("integration.changed", { who, at: time(of.updated_at) })}</span>
	`;
};

// Box is a check box with its label; a partial one stands over members of which some are ticked.
export function Box({ checked, partial, onChange, label, id, description }) {
	const box = useRef(null);
	useEffect(() => {
		box.current.indeterminate = Boolean(partial);
	}, [partial]);
	return html`
		<label class="box">
			<input
				ref=${box}
				type="checkbox"
				id=${id}
				checked=${checked}
				onChange=${(e) => onChange(e.target.checked)}
			/>
			<span>
				${label}${description &&
				html`
					<small>${description}</small>
				`}
			</span>
		</label>
	`;
}

// useClosing closes a dialog, and asks before when `unsaved` says that something in it would be lost.
export function useClosing(unsaved, onClose) {
	useUnsaved(unsaved, "dialog.leave");
	return () => {
		if (!unsaved || confirm(t("dialog.leave"))) onClose();
	};
}

// Dialog asks one thing. It is open while it is rendered: Escape, a press beside it and what else a browser closes
// dialogs with only call onClose.
export function Dialog({ title, children, onClose, danger, wide }) {
	const element = useRef(null);
	const pressed = useRef(false); // beside it; a selection that is drawn out of a field ends there too
	const id = useId();
	useEffect(() => {
		const dialog = element.current;
		const before = document.activeElement;
		const again = () => dialog.showModal();
		dialog.showModal();
		dialog.addEventListener("close", again);
		return () => {
			dialog.removeEventListener("close", again);
			dialog.close();
			before?.focus?.();
		};
	}, []);
	return html`
		<dialog
			ref=${element}
			class=${classes({ danger, wide })}
			aria-labelledby=${id}
			onCancel=${(e) => {
				e.preventDefault();
				onClose();
			}}
			onKeyDown=${(e) => {
				if (e.key === "Escape") {
					e.preventDefault();
					e.stopPropagation();
					onClose();
				}
			}}
			onPointerDown=${(e) => {
				pressed.current = e.target === element.current;
			}}
			onClick=${(e) => {
				if (e.target === element.current && pressed.current) onClose();
			}}
		>
			<div class="dialog-in">
				<h2 id=${id}>${title}</h2>
				${children}
			</div>
		</dialog>
	`;
}

// Copy puts a text on the clipboard.
export function Copy({ text, children }) {
	const [done, set] = useState(false);
	return html`
		<button
			type="button"
			class="quiet small"
			onClick=${async () => {
				await navigator.clipboard.writeText(text);
				set(true);
				setTimeout(() => set(false), 2000);
			}}
		>
			<span aria-live="polite">${done ? t("action.copied") : children}</span>
		</button>
	`;
}

// Attempts of the health window: a bar for each half hour, failures on top of what arrived.
const BARS = 24;

export function HealthChart({ health, large }) {
	const step = (health.window_hours * 3600_000) / BARS;
	const end = Math.ceil(Date.now() / 600_000) * 600_000;
	const bars = Array.from({ length: BARS }, () => ({ attempts: 0, failures: 0 }));
	for (const p of health.series) {
		const bar = bars[Math.min(BARS - 1, Math.max(0, Math.floor((Date.parse(p.at) - (end - BARS * step)) / step)))];
		bar.attempts += p.attempts;
		bar.failures += p.failures;
	}
	const most = Math.max(1, ...bars.map((b) => b.attempts));
	const height = large ? 64 : 32;
	// The square root keeps a quiet half hour visible beside a busy one.
	const tall = (n) => (n ? Math.max(2, Math.sqrt(n / most) * height) : 0);
	return html`
		<svg
			class="chart"
			viewBox=${`0 0 ${BARS * 10} ${height}`}
			preserveAspectRatio="none"
			height=${height}
			aria-hidden="true"
		>
			${bars.map((b, i) => {
				const all = tall(b.attempts);
				const bad = b.failures ? Math.max(2, (all * b.failures) / b.attempts) : 0;
				return html`
					<g>
						<rect class="bar-none" x=${i * 10 + 1} y=${height - 1} width="8" height="1" />
						<rect class="bar-ok" x=${i * 10 + 1} y=${height - all} width="8" height=${all} />
						<rect class="bar-bad" x=${i * 10 + 1} y=${height - all} width="8" height=${bad} />
					</g>
				`;
			})}
		</svg>
	`;
}

// healthWords are of the time since it was enabled; the chart can begin before.
export function healthWords(health) {
	const before = health.series.reduce((n, p) => n + p.attempts, 0) > health.attempts;
	if (!health.attempts) return t(before ? "health.none.since" : "health.none", { hours: health.window_hours });
	const words = health.failures
		? t("health.failed", { n: health.attempts, failures: health.failures, percent: health.percent })
		: t("health.fine", { n: health.attempts });
	return before ? t("health.since", { words }) : words;
}

const limits = (health) => ({
	percent: health.limit_percent,
	minimum: health.minimum_attempts,
	steps: health.minimum_steps,
	minutes: health.lasting_minutes,
});

// Health is large on the page of an integration, where it says what would disable one that is enabled.
export function Health({ health, large, enabled }) {
	return html`
		<div class=${classes({ health: true, large })}>
			<${HealthChart} health=${health} large=${large} />
			${large &&
			html`
				<p class="axis" aria-hidden="true">
					<span>${ago(Date.now() - health.window_hours * 3600_000)}</span>
					<span>${t("health.now")}</span>
				</p>
			`}
			<div class="limit" aria-hidden="true">
				<div
					class=${classes({ "limit-now": true, near: health.percent * 2 >= health.limit_percent })}
					style=${{ width: `${Math.min(100, health.percent)}%` }}
				></div>
				<div class="limit-mark" style=${{ left: `${health.limit_percent}%` }}></div>
			</div>
			<p class="health-words">
				${large ? t("health.sentence", { words: healthWords(health) }) : healthWords(health)}${large &&
				enabled &&
				html`
					${" "}
					<span class="muted">
						${health.failures_left > 0
							? t("health.left", { n: health.failures_left, ...limits(health) })
							: t("health.limit", limits(health))}
					</span>
				`}
			</p>
		</div>
	`;
}

export const state = (integration) => {
	if (integration.state === "failing") return { kind: "bad", icon: "alert", text: t("state.failing") };
	if (integration.enabled) return { kind: "ok", icon: "check", text: t("state.enabled") };
	return integration.disabled?.by === "platform"
		? { kind: "bad", icon: "alert", text: t("state.broken") }
		: { kind: "off", icon: "pause", text: t("state.disabled") };
};

export const StatePill = ({ of }) => {
	const s = state(of);
	return html`
		<${Pill} kind=${s.kind} icon=${s.icon}>${s.text}<//>
	`;
};

// Told is a message with a time in words at its place {at}: languages order them differently.
function Told({ message, at, ...values }) {
	const [before, after] = t(message, { ...values, at: "\u0000" }).split("\u0000");
	return html`
		${before}
		<${When} at=${at} />
		${after}
	`;
}

// Off says who switched an integration off, and why.
export function Off({ of }) {
	const d = of.disabled;
	if (!d) return null;
	if (d.by !== "platform")
		return html`
			<span>
				${d.person
					? html`
							<${Told} message="off.person" who=${d.person} at=${d.at} />
						`
					: html`
							<${Told} message="off.someone" at=${d.at} />
						`}
				${d.reason &&
				html`
					${": "}
					<${Said} text=${d.reason} />
				`}
			</span>
		`;
	return html`
		<span>
			<${Told} message="off.platform" at=${d.at} />
			${" "}
			<${Said} text=${d.reason} />
			${d.last_answer &&
			html`
				<br />
				${t("failing.answer")}${" "}
				<strong><${Said} text=${d.last_answer.words} /></strong>
			`}
		</span>
	`;
}

// heldWords say how many deliveries are held back, and until when the first of them is, with the zone of that time:
// "12 held, the first until 07:00 (Europe/Berlin)".
export const heldWords = ({ held, held_more: more, held_until: until }) =>
	t(more ? "held.count.more" : "held.count", { n: held, at: timeOfDay(until), zone: zoneName() });

// Failing says since when an integration fails, why, and what comes next.
export function Failing({ of }) {
	const f = of.failing;
	if (!f) return null;
	return html`
		<span>
			<${Told} message="failing.since" at=${f.since} />
			${" "}${t("failing.share", { n: f.attempts, failures: f.failures, percent: f.percent })}
			<br />
			${t("failing.answer")}${" "}
			<strong><${Said} text=${f.last_answer.words} /></strong>
			${f.waiting > 0 &&
			html`
				<br />
				${t(`failing.${f.retries_only ? "retries" : "waiting"}${f.waiting_more ? ".more" : ""}`, {
					n: f.waiting,
				})}
				${f.next_attempt &&
				html`
					${" "}
					<${Told} message="failing.next" at=${f.next_attempt} />
				`}
			`}
		</span>
	`;
}
