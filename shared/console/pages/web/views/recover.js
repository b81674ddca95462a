// What an integration missed: events that it takes and that no delivery to it carries. They are counted, chosen and
// sent.
import { html, useEffect, useRef, useState } from "../html.js";
import { integrationPath, post } from "../api.js";
import { instant, local, t, time } from "../i18n.js";
import { useAction } from "../load.js";
import { useUnsaved } from "../router.js";
import { Box, Dialog, Failure, useClosing } from "../ui.js";

const nothing = { missed: 0, leftOut: 0, deliveries: 0, kinds: {} };

// plus adds the numbers of one more answer: the API works on a range in steps.
function plus(sum, body) {
	const kinds = { ...sum.kinds };
	for (const [kind, n] of Object.entries(body.kinds)) kinds[kind] = (kinds[kind] || 0) + n;
	return {
		missed: sum.missed + body.missed,
		leftOut: sum.leftOut + (body.left_out || 0),
		deliveries: sum.deliveries + body.deliveries,
		kinds,
	};
}

// useMissed is what to recover: a range, what was counted in it, and what the person chooses of that. first is true as
// soon as something was counted.
export function useMissed(id, start) {
	const [range, setRange] = useState(start); // {from, to} as the API takes them; no `to` is now
	const [off, setOff] = useState([]); // kinds that are not wanted
	const [page, setPage] = useState(false);
	const [found, set] = useState(nothing);
	const empty = !range.from || (range.to !== undefined && !(Date.parse(range.from) < Date.parse(range.to)));
	useEffect(() => {
		if (empty) return undefined;
		const control = new AbortController();
		const count = async () => {
			let sum = nothing;
			let cursor;
			do {
				const { body } = await post(
					integrationPath(id, "/recover"),
					{ ...range, dry_run: true, cursor },
					{ signal: control.signal },
				);
				sum = plus(sum, body);
				cursor = body.next_cursor;
				set({ ...sum, first: true, done: !cursor });
			} while (cursor);
		};
		set((was) => ({ ...nothing, first: was.first }));
		count().catch((error) => {
			if (!control.signal.aborted) set((was) => ({ ...was, first: true, done: true, error }));
		});
		return () => control.abort();
	}, [id, range.from, range.to]);
	const kinds = Object.keys(found.kinds).sort();
	const wanted = kinds.filter((k) => !off.includes(k));
	return {
		range,
		setRange,
		off,
		setOff,
		page,
		setPage,
		found,
		empty,
		kinds,
		changed: range !== start || off.length > 0 || page,
		ready: !empty && wanted.length > 0,
		// As long as every kind is wanted none is named, so that a kind that is counted later comes along.
		request: () => ({ ...range, kinds: off.length ? wanted : undefined, page: page || undefined }),
	};
}

const kindName = (kind) => (t(`kind.${kind}`) === `kind.${kind}` ? kind : t(`kind.${kind}`));

// Choose shows what was missed and takes what of it is wanted.
export function Choose({ of, incidents }) {
	const { range, found, off } = of;
	const field = (name, value) => html`
		<label class="field">
			<span class="label">${t(`range.${name}`)}</span>
			<input
				type="datetime-local"
				value=${value}
				onInput=${(e) => of.setRange({ ...range, [name]: instant(e.target.value) || undefined })}
			/>
		</label>
	`;
	return html`
		<div class="row wrap">
			${field("from", range.from ? local(new Date(range.from)) : "")}${field(
				"to",
				range.to ? local(new Date(range.to)) : "",
			)}
		</div>
		<p class="help">${t("recover.to")}</p>
		${of.empty &&
		html`
			<p class="error" role="alert">${t("range.empty")}</p>
		`}
		${found.error &&
		html`
			<${Failure} error=${found.error} />
		`}
		<p role="status">
			${of.empty || found.error
				? ""
				: !found.done
					? t("recover.counting", { n: found.missed })
					: found.missed
						? t("recover.found", { n: found.missed })
						: t("recover.none")}
		</p>
		${of.kinds.length > 0 &&
		html`
			<fieldset>
				<legend>${t("recover.kinds")}</legend>
				<div class="ticks">
					${of.kinds.map(
						(k) => html`
							<${Box}
								key=${k}
								checked=${!off.includes(k)}
								label=${kindName(k)}
								description=${t("recover.events", { n: found.kinds[k] })}
								onChange=${(yes) => of.setOff(yes ? off.filter((x) => x !== k) : [...off, k])}
							/>
						`,
					)}
				</div>
			</fieldset>
		`}
		${incidents &&
		html`
			<${Box}
				checked=${of.page}
				label=${t("recover.page")}
				description=${t("recover.page.note", { n: found.leftOut })}
				onChange=${of.setPage}
			/>
		`}
	`;
}

// useRun sends what is chosen, step by step, and can be stopped between steps.
export function useRun(id) {
	const [at, set] = useState(null); // {missed, leftOut, deliveries, part, reached, done, stopped}
	const stopping = useRef(false);
	const [run, { busy, error }] = useAction(async (request) => {
		stopping.current = false;
		const [begin, end] = [Date.parse(request.from), request.to ? Date.parse(request.to) : Date.now()];
		let sum = nothing;
		let cursor;
		set({ ...nothing, part: 0 });
		do {
			const { body } = await post(integrationPath(id, "/recover"), { ...request, cursor });
			sum = plus(sum, body);
			cursor = body.next_cursor;
			const part = cursor ? Math.min(1, Math.max(0, (Date.parse(body.reached) - begin) / (end - begin))) : 1;
			set({ ...sum, part, reached: body.reached, done: !cursor, stopped: Boolean(cursor) && stopping.current });
		} while (cursor && !stopping.current);
	});
	useUnsaved(busy, "recover.leave");
	useEffect(
		() => () => {
			stopping.current = true;
		},
		[],
	);
	return {
		at,
		run,
		busy,
		error,
		over: Boolean(at && !busy && !error),
		stop: () => {
			stopping.current = true;
		},
	};
}

// Ran says how far it has got, and at the end what came of it.
export function Ran({ of: { at, busy, error } }) {
	if (!at) return null;
	const n = at.missed - at.leftOut;
	return html`
		<div class="progress">
			<progress max="1" value=${at.part} aria-label=${t("recover.progress")}></progress>
			<p role="status">
				${t(busy ? "recover.running" : "recover.result", {
					n,
					deliveries: t("recover.deliveries", { n: at.deliveries }),
				})}
				${busy && at.reached ? ` ${t("recover.reached", { at: time(at.reached) })}` : ""}${at.stopped
					? ` ${t("recover.stopped", { at: time(at.reached) })}`
					: ""}
			</p>
			${at.leftOut > 0 &&
			html`
				<p class="help">${t("recover.left", { n: at.leftOut })}</p>
			`}${error &&
			html`
				<${Failure} error=${error} />
			`}
		</div>
	`;
}

// Recover is the dialog for an integration that is enabled.
export function Recover({ id, from, to, incidents, onClose, done }) {
	const [start] = useState(() => ({
		from: instant(from) || new Date(Date.now() - 86_400_000).toISOString(),
		to: instant(to) || undefined,
	}));
	const missed = useMissed(id, start);
	const work = useRun(id);
	const close = useClosing(missed.changed && !work.at, onClose);
	const begin = async () => {
		await work.run(missed.request());
		await done();
	};
	return html`
		<${Dialog} title=${t("recover.title")} wide onClose=${work.busy ? () => {} : close}>
			<p>${t("recover.what")}</p>
			<form
				onSubmit=${(e) => {
					e.preventDefault();
					if (missed.ready && !work.at) begin();
				}}
			>
				${!work.at &&
				html`
					<${Choose} of=${missed} incidents=${incidents} />
				`}
				<${Ran} of=${work} />
				<div class="buttons">
					${work.busy
						? html`
								<button type="button" onClick=${work.stop}>${t("recover.stop")}</button>
							`
						: html`
								<button type="button" onClick=${close}>
									${t(work.at ? "action.close" : "form.cancel")}
								</button>
							`}
					${work.error &&
					html`
						<button type="button" class="primary" onClick=${begin}>${t("action.again")}</button>
					`}
					${!work.at &&
					html`
						<button type="submit" class="primary" disabled=${!missed.ready}>${t("recover.do")}</button>
					`}
				</div>
			</form>
		<//>
	`;
}
