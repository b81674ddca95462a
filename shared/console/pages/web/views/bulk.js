// Several integrations at once: what is to be done is chosen, then told for each, then done one by one. Each has its
// own entry in the activity log, as if it had been done by hand.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { get, integrationPath, integrationsOf, post, testOf } from "../api.js";
import { number, t, time } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction, useLoad } from "../load.js";
import { useUnsaved } from "../router.js";
import { muteBody, MuteFields, muteMistakes, MutedPill, muteStart } from "./hold.js";
import { Box, Busy, Dialog, Notice, reasonOf, StatePill, useClosing, View } from "../ui.js";

const most = 200; // deliveries that are counted of one integration

const list = async (i, state, signal) =>
	(await get(integrationPath(i.id, "/deliveries"), { signal, query: { state, limit: most } })).body;

const counted = (pages) => {
	const n = pages.reduce((sum, p) => sum + p.items.length, 0);
	return pages.some((p) => p.next_cursor) ? t("bulk.count.more", { n }) : number(n);
};

// Each action says what it will do to an integration (skip: nothing), and does it, with what was entered for it. done is
// what came of it.
const actions = {
	enable: {
		plan: async (i) => (i.enabled ? { skip: t("bulk.enable.not") } : { words: t("bulk.enable.will") }),
		run: async (i) => {
			await post(integrationPath(i.id, "/enable"));
			return { ok: true, words: t("bulk.enable.done") };
		},
	},
	disable: {
		plan: async (i, signal) => {
			if (!i.enabled) return { skip: t("bulk.disable.not") };
			const waiting = await Promise.all(["pending", "retrying"].map((state) => list(i, state, signal)));
			return waiting.some((w) => w.items.length)
				? { words: t("bulk.disable.will", { n: counted(waiting) }) }
				: { words: t("bulk.disable.nothing") };
		},
		run: async (i) => {
			await post(integrationPath(i.id, "/disable"));
			return { ok: true, words: t("bulk.disable.done") };
		},
	},
	replay: {
		plan: async (i, signal) => {
			if (!i.enabled) return { skip: t("bulk.replay.off") };
			const dead = await list(i, "dead", signal);
			return dead.items.length
				? { words: t("bulk.replay.will", { n: counted([dead]) }) }
				: { skip: t("bulk.replay.none") };
		},
		run: async (i) => {
			let n = 0;
			let cursor;
			do {
				const { body } = await post(integrationPath(i.id, "/replay"), { states: ["dead"], cursor });
				n += body.count;
				cursor = body.next_cursor;
			} while (cursor);
			return { ok: true, words: t("bulk.replay.done", { n }) };
		},
	},
	mute: {
		plan: async (i) => ({
			words: i.muted ? t("bulk.mute.again", { at: time(i.muted.until) }) : t("bulk.mute.will"),
		}),
		run: async (i, _, entered) => {
			const { body } = await post(integrationPath(i.id, "/mute"), muteBody(entered));
			return { ok: true, words: t("bulk.mute.done", { at: time(body.muted.until) }) };
		},
	},
	unmute: {
		plan: async (i) => (i.muted ? { words: t("bulk.unmute.will") } : { skip: t("bulk.unmute.not") }),
		run: async (i) => {
			await post(integrationPath(i.id, "/unmute"));
			return { ok: true, words: t("bulk.unmute.done") };
		},
	},
	test: {
		plan: async () => ({ words: t("bulk.test.will") }),
		run: async (i, signal) => {
			const { delivered, messages } = await testOf(integrationPath(i.id, "/test"), undefined, () => {}, signal);
			if (delivered) return { ok: true, words: t("test.arrived", { n: messages.length }) };
			const reason = messages.find((m) => m.reason)?.reason;
			return { ok: false, words: reason ? `${t("test.failed")} ${reason}` : t("test.failed") };
		},
	},
};

function Choose({ items, chosen, choose, action, take, children }) {
	const [q, search] = useState("");
	const [state, only] = useState("");
	const text = q.trim().toLowerCase();
	const shown = items.filter(
		(i) => (!state || i.state === state) && `${i.name} ${i.title}`.toLowerCase().includes(text),
	);
	const all = shown.length > 0 && shown.every((i) => chosen.has(i.id));
	const set = (ids, on) => {
		const next = new Set(chosen);
		for (const id of ids) on ? next.add(id) : next.delete(id);
		choose(next);
	};
	return html`
		<fieldset>
			<legend>${t("bulk.action")}</legend>
			<div class="leaves inline">
				${Object.keys(actions).map(
					(name) => html`
						<label class="box">
							<input type="radio" name="action" checked=${action === name} onChange=${() => take(name)} />
							<span>${t(`bulk.${name}`)}</span>
						</label>
					`,
				)}
			</div>
			${children}
		</fieldset>
		<fieldset>
			<legend>${t("bulk.which")}</legend>
			<div class="row wrap">
				<label class="field grow">
					<span class="label">${t("bulk.search")}</span>
					<input type="search" autocomplete="off" value=${q} onInput=${(e) => search(e.target.value)} />
				</label>
				<label class="field">
					<span class="label">${t("bulk.state")}</span>
					<select value=${state} onChange=${(e) => only(e.target.value)}>
						<option value="">${t("tabs.all")}</option>
						<option value="ok">${t("state.enabled")}</option>
						<option value="failing">${t("state.failing")}</option>
						<option value="disabled">${t("state.disabled")}</option>
					</select>
				</label>
			</div>
			<${Box}
				checked=${all}
				partial=${!all && shown.some((i) => chosen.has(i.id))}
				label=${t("bulk.all", { n: shown.length })}
				onChange=${(on) =>
					set(
						shown.map((i) => i.id),
						on,
					)}
			/>
			<div class="bulk-list" role="group" tabindex="0" aria-label=${t("bulk.which")}>
				${shown.map(
					(i) => html`
						<div class="bulk-row" key=${i.id}>
							<${Box}
								checked=${chosen.has(i.id)}
								label=${i.name}
								description=${i.title}
								onChange=${(on) => set([i.id], on)}
							/>
							<${MutedPill} of=${i} />
							<${StatePill} of=${i} />
						</div>
					`,
				)}
			</div>
			<p class="help" role="status">${t("bulk.chosen", { n: chosen.size })}</p>
		</fieldset>
	`;
}

// Each shows what will be done to an integration, or what came of it.
function Each({ item, plan, result, now }) {
	const shown = result || plan;
	const icon = result ? (result.ok ? "check" : "cross") : plan?.skip ? "pause" : "next";
	return html`
		<li class=${result && !result.ok ? "bad" : ""}>
			${now
				? html`
						<span class="spinner" aria-hidden="true"></span>
					`
				: html`
						<${Icon} name=${icon} size="16" />
					`}
			${" "}
			<strong>${item.name}</strong>
			${" "}
			<span class=${plan?.skip && !result ? "muted" : ""}>
				${shown ? shown.words || shown.skip : t("loading")}
			</span>
		</li>
	`;
}

// usePlan asks of each chosen integration what would be done to it, a few at a time.
function usePlan(items, action) {
	const [plans, set] = useState({});
	useEffect(() => {
		const control = new AbortController();
		const waiting = [...items];
		const next = async () => {
			for (let i = waiting.shift(); i && !control.signal.aborted; i = waiting.shift()) {
				const plan = await actions[action]
					.plan(i, control.signal)
					.catch((error) => ({ words: t("bulk.uncounted", { why: reasonOf(error) }) }));
				if (!control.signal.aborted) set((all) => ({ ...all, [i.id]: plan }));
			}
		};
		for (let n = 0; n < 4; n++) next();
		return () => control.abort();
	}, []);
	return plans;
}

function Act({ items, action, entered, working, back, onClose, done }) {
	const plans = usePlan(items, action);
	const [results, set] = useState({});
	const [now, at] = useState("");
	const stopping = useRef(null);
	const todo = items.filter((i) => plans[i.id] && !plans[i.id].skip);
	const ready = items.every((i) => plans[i.id]);
	const [run, { busy }] = useAction(async () => {
		const control = new AbortController();
		stopping.current = control;
		for (const i of todo) {
			if (control.signal.aborted) break;
			at(i.id);
			const result = await actions[action]
				.run(i, control.signal, entered)
				.catch((error) => ({ ok: false, words: error.name === "AbortError" ? "" : reasonOf(error) }));
			if (result.words) set((all) => ({ ...all, [i.id]: result }));
		}
		at("");
		await done();
	});
	useUnsaved(busy, "bulk.leave");
	working.current = busy;
	useEffect(() => () => stopping.current?.abort(), []);
	const over = Object.values(results);
	const failed = over.filter((r) => !r.ok).length;
	const finished = !busy && over.length > 0;
	return html`
		<p role="status">
			${finished
				? t("bulk.over", {
						n: over.length - failed,
						failed: number(failed),
						left: number(todo.length - over.length),
					})
				: busy
					? t("bulk.running", { n: over.length, all: number(todo.length) })
					: ready
						? t(`bulk.${action}.sure`, { n: todo.length })
						: t("bulk.counting")}
		</p>
		${busy &&
		html`
			<progress max=${todo.length} value=${over.length} aria-label=${t("bulk.progress")}></progress>
		`}
		<ol class="plain bulk-plan" tabindex="0" aria-label=${t("bulk.which")}>
			${items.map(
				(i) => html`
					<${Each} key=${i.id} item=${i} plan=${plans[i.id]} result=${results[i.id]} now=${now === i.id} />
				`,
			)}
		</ol>
		${finished &&
		failed > 0 &&
		html`
			<${Notice} kind="bad"><p>${t("bulk.failed", { n: failed })}</p><//>
		`}
		<div class="buttons">
			${busy
				? html`
						<button type="button" onClick=${() => stopping.current.abort()}>${t("recover.stop")}</button>
					`
				: html`
						${!finished &&
						html`
							<button type="button" onClick=${back}>${t("bulk.back")}</button>
						`}
						<button type="button" class=${finished ? "primary" : ""} onClick=${onClose}>
							${t(finished ? "action.close" : "form.cancel")}
						</button>
					`}
			${!finished &&
			html`
				<button
					type="button"
					class="primary"
					aria-disabled=${busy ? "true" : undefined}
					disabled=${!busy && (!ready || !todo.length)}
					onClick=${() => busy || run()}
				>
					<${Busy} on=${busy}>${t(`bulk.${action}`)}<//>
				</button>
			`}
		</div>
	`;
}

// Bulk is the dialog.
export function Bulk({ onClose, done }) {
	const load = useLoad("bulk", integrationsOf);
	const [chosen, choose] = useState(new Set());
	const [action, take] = useState("test");
	const [sure, ask] = useState(false);
	const [entered, enter] = useState(muteStart); // of a mute
	const [attempted, attempt] = useState(false);
	const mistakes = action === "mute" ? muteMistakes(entered) : {};
	const working = useRef(false);
	const close = useClosing(!sure && (chosen.size > 0 || entered !== muteStart), onClose);
	const items = useMemo(() => (load.data || []).filter((i) => chosen.has(i.id)), [load.data, chosen]);
	return html`
		<${Dialog}
			title=${sure ? t(`bulk.${action}`) : t("bulk.title")}
			wide
			onClose=${() => {
				if (!working.current) (sure ? onClose : close)();
			}}
		>
			<${View} load=${load} count="4">
				${(all) =>
					sure
						? html`
								<${Act}
									items=${items}
									action=${action}
									entered=${entered}
									working=${working}
									back=${() => ask(false)}
									onClose=${onClose}
									done=${done}
								/>
							`
						: html`
								<${Choose} items=${all} chosen=${chosen} choose=${choose} action=${action} take=${take}>
									${action === "mute" &&
									html`
										<${MuteFields}
											value=${entered}
											errors=${attempted ? mistakes : {}}
											people=${items.every((i) => i.worded)}
											onChange=${enter}
										/>
									`}
								<//>
								<div class="buttons">
									<button type="button" onClick=${close}>${t("form.cancel")}</button>
									<button
										type="button"
										class="primary"
										disabled=${!chosen.size}
										onClick=${() => {
											attempt(true);
											if (!Object.values(mistakes).some(Boolean)) ask(true);
										}}
									>
										${t("bulk.next")}
									</button>
								</div>
							`}
			<//>
		<//>
	`;
}
