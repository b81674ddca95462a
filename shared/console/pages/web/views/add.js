// Adding an integration: pick a system, fill in its form.
import { html, useState } from "../html.js";
import { get, integrationPath, post, testOf } from "../api.js";
import { day, further, list, said, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { navigate, useLocation } from "../router.js";
import { fieldsOf, kindOf, MASK } from "../schema.js";
import { Copy, Empty, Notice, Said, View } from "../ui.js";
import { startingEvents } from "../events.js";
import { Form, SetUp } from "./form.js";

const readSystems = async (signal) => (await get("/v1/systems", { signal, query: { languages: further } })).body;

const Back = ({ href = "/", children }) => html`
	<p class="back">
		<a href=${href}>
			<${Icon} name="back" size="18" />
			${children}
		</a>
	</p>
`;

export function Add({ session }) {
	const { query } = useLocation();
	const only = query.get("group");
	const load = useLoad("systems", readSystems);
	return html`
		<${Back}>${t("list.title")}<//>
		<h1 tabindex="-1">${t("add.title")}</h1>
		<p class="muted">
			${t("add.lead")}${" "}
			<a href="/addresses">${t("add.addresses")}</a>
		</p>
		<${View} load=${load} skeleton="tiles">
			${({ groups }) =>
				groups
					.filter((g) => !only || g.title === only)
					.map(
						(g) => html`
							<section class="group">
								<h2><${Said} text=${g.title} /></h2>
								<ul class="tiles">
									${g.systems
										.filter((s) => !s.personal)
										.map(
											(s) => html`
												<li key=${s.name} class=${s.available ? "tile solid" : "tile off"}>
													<span class="mark"><${Icon} name=${s.name} /></span>
													<div>
														${s.available
															? html`
																	<a href=${`/add/${s.name}`}>
																		<strong><${Said} text=${s.title} /></strong>
																		<small>
																			${s.enabled + s.disabled
																				? t("add.have", {
																						n: s.enabled + s.disabled,
																					})
																				: t("add.first")}
																		</small>
																	</a>
																`
															: html`
																	<strong><${Said} text=${s.title} /></strong>
																	<small>${t("tile.later")}</small>
																`}
													</div>
												</li>
											`,
										)}
								</ul>
							</section>
						`,
					)}
		<//>
		${only &&
		html`
			<p><a href="/add">${t("add.all")}</a></p>
		`}
		<section class="group" aria-labelledby="suggest">
			<h2 id="suggest">${t("suggest.title")}</h2>
			<p>
				${t("suggest.webhook")}${" "}
				<a href="/add/web_hooks">${t("suggest.add")}</a>
			</p>
			<p>
				${t("suggest.tell")}${" "}
				<${Copy} text=${t("suggest.text", { tenant: session.client_name || session.tenant })}>
					${t("suggest.copy")}
				<//>
			</p>
		</section>
	`;
}

const nameOf = (system, session) =>
	t(system.names_one ? "form.name.report" : "form.name.integration", {
		system: system.title,
		who: session.name || session.email || session.tenant,
		day: day(new Date()),
	});

// copied is what a form starts with for one more of an integration: all but its secrets, which are nobody's to copy,
// and what happened to it. lacking names what is to be entered anew.
function copied(system, i) {
	const parameters = {};
	const lacking = [];
	for (const f of fieldsOf(system.parameters)) {
		const v = i.parameters[f.name];
		if (v === undefined || kindOf(f) === "shown") continue;
		const masked = v === MASK || (kindOf(f) === "map" && Object.values(v).includes(MASK));
		if (masked) lacking.push(said(f.title));
		if (v !== MASK)
			parameters[f.name] =
				kindOf(f) === "map"
					? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, x === MASK ? "" : x]))
					: v;
	}
	return {
		start: {
			name: t("copy.name", { name: i.name }),
			language: i.language,
			filters: i.filters,
			rate: i.rate,
			grouping: i.grouping,
			storm_guard: i.storm_guard,
			fallback: i.fallback,
			hold: i.hold,
			message_template: i.message_template,
			parameters,
			events: Object.fromEntries(
				i.events.map((e) => [e.event, { active: e.active, with_headers: e.with_headers }]),
			),
		},
		lacking,
	};
}

function NewForm({ system, rules, template, session, of }) {
	const copy = of && copied(system, of);
	const start = copy?.start || {
		name: nameOf(system, session),
		parameters: {},
		filters: [],
		events: startingEvents(system),
	};
	const save = async (draft) => {
		return (await post("/v1/integrations", { system: system.name, ...draft })).body;
	};
	const saved = ({ id }, clean) => navigate(`/integrations/${id}?added=1`, { done: clean });
	const test = (parameters, words, told, signal) =>
		testOf("/v1/integrations/test", { system: system.name, parameters, message_template: words }, told, signal);
	const choose = (parameter, parameters) =>
		post("/v1/integrations/choices", { system: system.name, parameters, parameter });
	return html`
		${copy &&
		html`
			<${Notice}>
				<p>${t("copy.what", { name: of.name })}</p>
				${copy.lacking.length > 0 &&
				html`
					<p><strong>${t("copy.secrets", { names: list(copy.lacking) })}</strong></p>
				`}
			<//>
		`}
		${system.missing &&
		html`
			<${Notice} kind="bad">
				<p>
					<strong>${t("lacking.title")}</strong>
					${" "}
					<${Said} text=${system.missing} />
				</p>
			<//>
		`}
		<div class="beside first">
			<div class="side"><${SetUp} system=${system} /></div>
			<${Form}
				system=${system}
				rules=${rules}
				template=${template}
				start=${start}
				save=${save}
				saved=${saved}
				test=${test}
				choose=${choose}
				submit=${t("form.add")}
				cancel="/"
			/>
		</div>
	`;
}

export function AddForm({ system: name, session }) {
	const { query } = useLocation();
	const [copy] = useState(query.get("copy")); // the id of the integration that this will be one more of
	const load = useLoad(`systems ${copy}`, async (signal) => {
		const [systems, of] = await Promise.all([
			readSystems(signal),
			copy && get(integrationPath(copy), { signal }).then(({ body }) => (body.system === name ? body : null)),
		]);
		return { ...systems, of };
	});
	return html`
		<${Back} href="/add">${t("add.title")}<//>
		<${View} load=${load} skeleton="form" title=${t("add.title")}>
			${({ groups, filters, message_template, of }) => {
				const system = groups
					.flatMap((g) => g.systems)
					.find((s) => s.name === name && s.available && !s.personal);
				if (!system)
					return html`
						<h1 tabindex="-1">${t("add.title")}</h1>
						<${Empty} icon="search" title=${t("add.unknown")}>
							<p><a class="button" href="/add">${t("add.choose")}</a></p>
						<//>
					`;
				return html`
					<h1 tabindex="-1" class="with-mark">
						<span class="mark"><${Icon} name=${name} /></span>
						${t("add.system", { system: system.title })}
					</h1>
					<${NewForm}
						system=${system}
						rules=${filters}
						template=${message_template}
						session=${session}
						of=${of}
					/>
				`;
			}}
		<//>
	`;
}
