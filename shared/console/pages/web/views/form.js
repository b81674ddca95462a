// The form of an integration, drawn from its system's JSON Schema.
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { may, post } from "../api.js";
import { Events } from "../events.js";
import { language, said, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction } from "../load.js";
import { line, Markdown } from "../markdown.js";
import { useUnsaved } from "../router.js";
import { check, fieldsOf, initial, kindOf, MASK, valueOf } from "../schema.js";
import { Busy, Notice } from "../ui.js";
import { Admitted } from "./addresses.js";
import { Fallback } from "./fallback.js";
import { Faults, focusWrong } from "./faults.js";
import { Field, Language, Shown } from "./fields.js";
import { asking, draftFilters, filterMistakes, FilterRows, madeFilters, offered } from "./filter-rows.js";
import { Grouping, wrongGrouping } from "./grouping.js";
import { draftHold, Hold, holdMistakes, holdPlace, madeHold } from "./hold.js";
import { Rate, wrongRate } from "./rate.js";
import { StormGuard, wrongStormGuard } from "./storm-guard.js";
import { MessageTemplate, wrongTemplate } from "./template.js";
import { Samples } from "./samples.js";
import { Tested, useTest } from "./tested.js";
import { Tried } from "./tried.js";

// editable is what the form of an integration can change of it, to compare.
export const editable = (system, i) =>
	JSON.stringify([
		i.name,
		i.language || "",
		i.rate || "",
		i.grouping || "",
		i.storm_guard || "",
		i.fallback || "",
		i.message_template?.title || "",
		i.message_template?.text || "",
		i.events,
		i.filters,
		i.hold || {},
		fieldsOf(system.parameters)
			.filter((f) => kindOf(f) !== "shown")
			.map((f) => i.parameters[f.name]),
	]);

// useDraft is the state of a form: its controls, what is wrong with them, and what they make.
function useDraft(system, start, rules, template) {
	const fields = useMemo(() => fieldsOf(system.parameters), [system.parameters]);
	const open = fields.filter((f) => kindOf(f) !== "shown");
	const [name, setName] = useState(start.name);
	const [values, setValues] = useState(() =>
		Object.fromEntries(open.map((f) => [f.name, initial(f, start.parameters[f.name])])),
	);
	const [events, setEvents] = useState(start.events);
	const [filters, setFilters] = useState(() => draftFilters(start.filters, rules));
	const [language, setLanguage] = useState(start.language || "");
	const [rate, setRate] = useState(start.rate || "");
	const [grouping, setGrouping] = useState(start.grouping || "");
	const [stormGuard, setStormGuard] = useState(start.storm_guard || "");
	const [fallback, setFallback] = useState(start.fallback || "");
	const [hold, setHold] = useState(() => draftHold(start.hold));
	const [words, setWords] = useState({
		title: start.message_template?.title || "",
		text: start.message_template?.text || "",
	});
	const [touched, touch] = useState({});
	const [refused, refuse] = useState({});
	const [dirty, setDirty] = useState(false);
	const changes = useRef(0);
	const typed = useRef(null); // told of each change of what a test tests
	const narrowed = useRef(null); // told of each change of what filters are tried on
	const applies = ({ "x-when": when }) =>
		!when || (when.value ? values[when.field] === when.value : Boolean(values[when.field]?.trim()));
	const errors = { filters: "", hold: "", ...refused, ...filterMistakes(filters, rules), ...holdMistakes(hold) };
	for (const f of open) errors[f.name] = applies(f) ? check(f, values[f.name]) || refused[f.name] || "" : "";
	errors.name = !name.trim()
		? t("check.required")
		: [...name].length > 200
			? t("check.maxLength", { n: 200, has: [...name].length })
			: refused.name || "";
	errors.rate = wrongRate(rate) || refused.rate || "";
	errors.grouping = wrongGrouping(grouping) || refused.grouping || "";
	errors.storm_guard = wrongStormGuard(stormGuard) || refused.storm_guard || "";
	errors.fallback = refused.fallback || "";
	if (system.templated) {
		const wrong = wrongTemplate(words.title, template.most_title);
		errors["message_template.title"] = wrong || refused["message_template.title"] || "";
		errors["message_template.text"] =
			wrongTemplate(words.text, template.most_text) || refused["message_template.text"] || "";
	}
	const parameters = () => {
		const out = {};
		for (const f of open) {
			const v = applies(f) ? valueOf(f, values[f.name]) : undefined;
			if (v !== undefined) out[f.name] = v;
			else if (start.parameters[f.name] !== undefined) out[f.name] = null;
		}
		return out;
	};
	const mark = () => {
		changes.current++;
		setDirty(true);
	};
	const changed = (key) => {
		mark();
		refuse((r) => ({ ...r, [key]: "" }));
	};
	return {
		open,
		applies,
		name,
		values,
		events,
		filters,
		language,
		rate,
		grouping,
		stormGuard,
		fallback,
		hold,
		words,
		errors,
		touched,
		dirty,
		typed,
		narrowed,
		parameters,
		shown: fields.filter((f) => kindOf(f) === "shown"),
		setName: (v) => {
			setName(v);
			changed("name");
		},
		setValue: (key, v) => {
			setValues((all) => ({ ...all, [key]: v }));
			touch((all) => ({ ...all, [key]: all[key] || v !== "" }));
			typed.current?.();
			changed(key);
		},
		setLanguage: (v) => {
			setLanguage(v);
			mark();
		},
		setRate: (v) => {
			setRate(v);
			changed("rate");
		},
		setGrouping: (v) => {
			setGrouping(v);
			changed("grouping");
		},
		setStormGuard: (v) => {
			setStormGuard(v);
			changed("storm_guard");
		},
		setFallback: (v) => {
			setFallback(v);
			changed("fallback");
		},
		setHold: (v) => {
			setHold(v);
			mark();
			refuse((r) => Object.fromEntries(Object.entries(r).filter(([key]) => !key.startsWith("hold"))));
		},
		setWords: (v) => {
			for (const part of ["title", "text"]) if (v[part] !== words[part]) changed(`message_template.${part}`);
			setWords(v);
			typed.current?.();
		},
		setEvents: (v) => {
			setEvents(v);
			narrowed.current?.();
			mark();
			// Filters and templates can be refused because of the events.
			refuse((r) =>
				Object.fromEntries(Object.entries(r).filter(([key]) => !/^(filters|message_template)\b/.test(key))),
			);
		},
		setFilters: (v) => {
			setFilters(v);
			narrowed.current?.();
			mark();
			refuse((r) => Object.fromEntries(Object.entries(r).filter(([key]) => !key.startsWith("filters"))));
		},
		blur: (key) => touch((all) => ({ ...all, [key]: true })),
		touchAll: () =>
			touch(Object.fromEntries([...Object.keys(errors), ...open.map((f) => f.name)].map((n) => [n, true]))),
		changes,
		// saved reports whether what is saved is all: that nothing was typed since.
		saved: (then) => {
			const clean = changes.current === then;
			if (clean) setDirty(false);
			return clean;
		},
		// refuse takes the fields that the API names: `parameters.url`, `parameters.addresses.1`, `filters.0.values.1`,
		// `name`.
		refuse: (problems) => {
			const found = {};
			for (const p of problems) {
				const [first, second, ...rest] = p.field.split(".");
				const row =
					(first === "filters" || first === "message_template") && second ? `${first}.${second}` : first;
				const key = first === "hold" ? holdPlace(p.field) : first === "parameters" && second ? second : row;
				// Of a map the line is named: `parameters.headers.Authorization`.
				const line =
					rest.length && open.some((f) => f.name === key && kindOf(f) === "map") ? `${rest.join(".")}: ` : "";
				found[key] = `${found[key] ? `${found[key]}; ` : ""}${line}${said(p.reason)}`;
			}
			refuse(found);
			touch((all) => ({ ...all, ...Object.fromEntries(Object.keys(found).map((k) => [k, true])) }));
		},
		list: () =>
			system.events.map(({ event }) => ({
				event,
				active: Boolean(events[event]?.active),
				...(events[event]?.with_headers ? { with_headers: true } : {}),
			})),
	};
}

// Form: save({draft, over}) sends what was typed, over says that it may undo what somebody else changed meanwhile;
// saved takes the answer, and whether it holds all that was typed by then. hold is told of changes and given the form's
// own way to save; again reads anew and gives up what was typed; changed says that somebody else has changed what the
// form began with; note is what came of the last save. Without cancel, Cancel undoes what was typed. rules are the
// filters that an integration takes.
export function Form(of) {
	const {
		system,
		rules,
		template,
		start,
		save,
		saved,
		test,
		choose,
		submit,
		cancel,
		extra,
		hold,
		again,
		changed,
		note,
	} = of;
	const draft = useDraft(system, start, rules, template);
	const form = useRef(null);
	const unfolded = useRef(false); // the advanced settings, for a fault in them
	const [attempted, attempt] = useState(false);
	const [tried, attemptTry] = useState(false);
	const valid = () => {
		attempt(true);
		draft.touchAll();
		const wrong = Object.values(draft.errors).some(Boolean);
		if (wrong) focusWrong(form.current);
		return !wrong;
	};
	const guarded = (work) => async () => {
		try {
			return await work();
		} catch (error) {
			if (error.fields?.length) {
				draft.refuse(error.fields);
				focusWrong(form.current);
			}
			throw error;
		}
	};
	const [runSave, saving] = useAction(async ({ over } = {}) =>
		guarded(async () => {
			const then = draft.changes.current;
			const answer = await save(
				{
					name: draft.name.trim(),
					...(system.worded
						? { language: draft.language, grouping: draft.grouping, storm_guard: draft.stormGuard }
						: {}),
					rate: draft.rate,
					fallback: draft.fallback,
					...(system.templated ? { message_template: draft.words } : {}),
					events: draft.list(),
					filters: madeFilters(draft.filters, rules),
					hold: madeHold(draft.hold),
					parameters: draft.parameters(),
				},
				{ over },
			);
			const clean = draft.saved(then);
			if (hold) hold.current.dirty = !clean;
			await saved(answer, clean);
			return true;
		})(),
	);
	const words = () => (system.templated ? draft.words : undefined);
	const tests = useTest((told, signal) => guarded(() => test(draft.parameters(), words(), told, signal))());
	draft.typed.current = tests.clear; // what was tested is not what the form holds any more
	const tries = useTest((_, signal) =>
		guarded(async () => {
			const filters = madeFilters(draft.filters, rules);
			const body = { system: system.name, events: draft.list(), filters };
			return (await post("/v1/filters/try", body, { signal })).body;
		})(),
	);
	draft.narrowed.current = tries.clear;
	const triable = () => {
		attemptTry(true);
		if (!Object.keys(filterMistakes(draft.filters, rules)).length) return true;
		focusWrong(form.current);
		return false;
	};
	const outcome = useRef(null);
	const error = saving.error || tests.error;
	useEffect(() => {
		if (!error && !tests.steps.length && !tests.result && !note) return;
		const tall = outcome.current.offsetHeight > innerHeight * 0.6;
		outcome.current.scrollIntoView({ block: tall ? "start" : "nearest" });
	}, [error, tests.steps.length, tests.result, note]);
	useUnsaved(draft.dirty);
	useLayoutEffect(() => {
		if (!hold) return undefined;
		hold.current = { dirty: draft.dirty, save: async () => Boolean(valid() && (await runSave())) };
		return () => {
			hold.current = { dirty: false };
		};
	});
	const shown = (key) => (draft.touched[key] || attempted ? draft.errors[key] : "");
	const filterErrors = {};
	for (const key of Object.keys(draft.errors))
		if (key.startsWith("filters")) filterErrors[key] = tried ? draft.errors[key] : shown(key);
	const holdErrors = {};
	for (const key of Object.keys(draft.errors)) if (key.startsWith("hold")) holdErrors[key] = shown(key);
	const picking = (name) => {
		const at = (system.choosable || []).indexOf(name);
		return at < 0
			? {}
			: {
					system,
					choose: () => choose(name, draft.parameters()),
					scope: JSON.stringify(system.choosable.slice(0, at).map((n) => draft.values[n])),
				};
	};
	const draw = (f) => html`
		<${Field}
			key=${f.name}
			field=${f}
			...${picking(f.name)}
			value=${draft.values[f.name]}
			error=${shown(f.name)}
			kept=${start.parameters[f.name] === MASK}
			onInput=${(v) => draft.setValue(f.name, v)}
			onBlur=${() => draft.blur(f.name)}
		/>
	`;
	const there = draft.open.filter(draft.applies);
	const main = there.filter((f) => !f["x-advanced"]);
	const more = there.filter((f) => f["x-advanced"]);
	unfolded.current ||= more.some((f) => shown(f.name)); // and it stays so while the fault is mended
	return html`
		<form
			class="panel form"
			ref=${form}
			novalidate
			onSubmit=${(e) => {
				e.preventDefault();
				if (valid()) runSave();
			}}
		>
			<fieldset class="bare" disabled=${!may("integrations")}>
				<${Field}
					field=${{ name: "name", title: t("form.name"), required: true, type: "string" }}
					value=${draft.name}
					error=${shown("name")}
					onInput=${draft.setName}
					onBlur=${() => draft.blur("name")}
				/>
				${main.map(draw)}
				${draft.shown.some((f) => start.parameters[f.name] !== undefined) &&
				html`
					<dl class="facts">
						${draft.shown.map(
							(f) => html`
								<${Shown} field=${f} value=${start.parameters[f.name]} />
							`,
						)}
					</dl>
				`}
				${extra}
				${system.worded &&
				html`
					<${Language}
						value=${draft.language}
						other=${t("language.tenant")}
						help=${t("language.integration")}
						onInput=${draft.setLanguage}
					/>
				`}
				<${Rate}
					value=${draft.rate}
					error=${shown("rate")}
					onInput=${draft.setRate}
					onBlur=${() => draft.blur("rate")}
				/>
				${system.worded &&
				html`
					<${Grouping}
						value=${draft.grouping}
						error=${shown("grouping")}
						onInput=${draft.setGrouping}
						onBlur=${() => draft.blur("grouping")}
					/>
					<${StormGuard}
						value=${draft.stormGuard}
						error=${shown("storm_guard")}
						onInput=${draft.setStormGuard}
						onBlur=${() => draft.blur("storm_guard")}
					/>
				`}
				<${Fallback}
					value=${draft.fallback}
					own=${start.id}
					error=${shown("fallback")}
					onInput=${draft.setFallback}
					onBlur=${() => draft.blur("fallback")}
				/>
				${more.length > 0 &&
				html`
					<details class="advanced" open=${unfolded.current}>
						<summary>${t("form.advanced")}</summary>
						${more.map(draw)}
					</details>
				`}
				${system.templated &&
				html`
					<${MessageTemplate}
						system=${system}
						rules=${template}
						value=${draft.words}
						errors=${{ title: shown("message_template.title"), text: shown("message_template.text") }}
						parameters=${draft.parameters}
						onInput=${draft.setWords}
						onBlur=${(part) => draft.blur(`message_template.${part}`)}
					/>
				`}
				<${Events} system=${system} value=${draft.events} onChange=${draft.setEvents} />
				<${FilterRows}
					rules=${offered(rules, system, draft.filters)}
					value=${draft.filters}
					note=${t("filter.note")}
					errors=${filterErrors}
					asks=${(rule) => asking(rule, system, draft.events)}
					onChange=${draft.setFilters}
				>
					${draft.filters.length > 0 &&
					html`
						<${Tried} of=${tries} ready=${triable} rules=${rules} />
					`}
				<//>
				<${Hold}
					system=${system}
					people=${system.worded}
					value=${draft.hold}
					errors=${holdErrors}
					onChange=${draft.setHold}
				/>
			</fieldset>
			<${Samples}
				system=${system}
				held=${() => ({ parameters: draft.parameters(), message_template: words(), language: draft.language })}
			/>
			<div class="outcome" ref=${outcome}>
				<${Faults}
					error=${error}
					changed=${changed}
					what=${t("form.conflict")}
					again=${again}
					over=${() => {
						if (valid()) runSave({ over: true });
					}}
					known=${(field) =>
						field in draft.errors ||
						field.split(".")[field.startsWith("parameters.") ? 1 : 0] in draft.errors}
				/>
				<${Tested} of=${tests} />
				${note &&
				html`
					<${Notice} kind="ok"><p role="status">${note}</p><//>
				`}
			</div>
			${may("integrations") &&
			html`
				<div class="buttons">
					${cancel
						? html`
								<a class="button" href=${cancel}>${t("form.cancel")}</a>
							`
						: html`
								<button
									type="button"
									disabled=${!draft.dirty}
									onClick=${() => {
										if (confirm(t("form.undo"))) again();
									}}
								>
									${t("form.cancel")}
								</button>
							`}
					${draft.open.length > 0 &&
					html`
						<button
							type="button"
							aria-disabled=${tests.busy ? "true" : undefined}
							onClick=${() => {
								if (!tests.busy && valid()) tests.run();
							}}
						>
							<${Busy} on=${tests.busy}>
								<${Icon} name="send" size="18" />
								${t("form.test")}
							<//>
						</button>
					`}
					<button type="submit" class="primary" disabled=${saving.busy}>
						<${Busy} on=${saving.busy}>${submit}<//>
					</button>
				</div>
			`}
		</form>
	`;
}

// SetUp shows the steps at the system's own side, and which addresses may have to be admitted there.
export const SetUp = ({ system }) => html`
	<${Steps} system=${system} />
	${system.admits &&
	html`
		<${Admitted} system=${system} />
	`}
`;

function Steps({ system }) {
	if (!system.set_up)
		return html`
			<aside class="setup empty-setup" aria-label=${t("setup.title", { system: system.title })}>
				<h2>${t("setup.title", { system: system.title })}</h2>
				<p class="muted">${line(t("setup.none"))}</p>
			</aside>
		`;
	const own = system.set_up_in?.[language];
	return html`
		<aside class="setup" aria-label=${t("setup.title", { system: system.title })}>
			<h2>${t("setup.title", { system: system.title })}</h2>
			<${Markdown} text=${own ?? system.set_up} lang=${own ? undefined : "en"} />
		</aside>
	`;
}
