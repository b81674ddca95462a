// Home: what needs a person and what became of the last 24 hours; then tabs with counts, groups, search and an order,
// cards for what is configured, tiles for what is not. All integrations are read, so that filters answer at once.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { get, integrationsByGroup, may } from "../api.js";
import { subscribed } from "../events.js";
import { Search, Tabs, tabOf } from "../filters.js";
import { language, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction, useLoad } from "../load.js";
import { navigate, useLocation, withQuery } from "../router.js";
import { Busy, Empty, Failing, Failure, Off, Said, Skeleton, StatePill } from "../ui.js";
import { MutedPill } from "./hold.js";
import { Attention, Begin, CardDay, Day } from "./overview.js";

const refresh = 15_000;
const refreshDay = 60_000; // the overview looks at every integration: see GET /v1/overview
const cardsAtOnce = 24; // that are drawn until more are asked for

const tabs = ["all", "attention", "enabled", "failing", "disabled"];
const orders = ["group", "state", "name", "traffic"];

const inTab = {
	all: () => true,
	attention: (i) => Boolean(i.cause), // what needs a person
	enabled: (i) => i.enabled,
	failing: (i) => i.state === "failing",
	disabled: (i) => !i.enabled,
};

// rank is how much an integration needs a person.
const rank = (i) => {
	if (i.unreadable || i.missing || i.disabled?.by === "platform") return 0;
	if (i.state === "failing") return 1;
	return i.enabled ? 2 : 3;
};

// comparing makes the function that sorts cards; null leaves them by group.
function comparing(order, days) {
	const names = new Intl.Collator(language, { numeric: true });
	const name = (a, b) => names.compare(a.name, b.name);
	const sent = (i) => (days[i.id]?.delivered || 0) + (days[i.id]?.dead || 0);
	return {
		group: null,
		name,
		state: (a, b) => rank(a) - rank(b) || (days[b.id]?.dead || 0) - (days[a.id]?.dead || 0) || name(a, b),
		traffic: (a, b) => sent(b) - sent(a) || name(a, b),
	}[order];
}

const tally = (g) =>
	g.disabled ? t("group.both", { n: g.enabled, m: g.disabled }) : t("group.active", { n: g.enabled });

function Groups({ groups, current }) {
	const link = (title, words, name) => html`
		<li>
			<a href=${withQuery({ group: name })} aria-current=${name === current ? "true" : undefined}>
				<span>${title}</span>
				<small>${words}</small>
			</a>
		</li>
	`;
	const sum = groups.reduce((a, g) => ({ enabled: a.enabled + g.enabled, disabled: a.disabled + g.disabled }), {
		enabled: 0,
		disabled: 0,
	});
	return html`
		<nav class="groups" aria-label=${t("group.label")}>
			<ul>
				${link(t("group.all"), tally(sum), "")}
				${groups.map((g) =>
					link(
						html`
							<${Said} text=${g.title} />
						`,
						tally(g),
						g.title,
					),
				)}
			</ul>
		</nav>
	`;
}

function Tile({ system, session }) {
	if (system.personal) {
		return session.sections.includes("profile")
			? html`
					<li class="card personal">
						<div class="card-head">
							<span class="mark"><${Icon} name="person" /></span>
							<div class="card-name">
								<h3>
									<a href="/profile"><${Said} text=${system.title} /></a>
								</h3>
								<p class="muted">${session.email}</p>
							</div>
						</div>
					</li>
				`
			: null;
	}
	if (!may("integrations")) return null;
	if (!system.available) {
		return html`
			<li class="tile off">
				<span class="mark"><${Icon} name=${system.name} /></span>
				<div>
					<strong><${Said} text=${system.title} /></strong>
					<small>${t("tile.later")}</small>
				</div>
			</li>
		`;
	}
	return html`
		<li class="tile">
			<span class="mark"><${Icon} name=${system.name} /></span>
			<div>
				<a href=${`/add/${system.name}`}>
					<strong><${Said} text=${system.title} /></strong>
					<small>${t("tile.add", { system: system.title })}</small>
				</a>
			</div>
			<span class="tile-plus"><${Icon} name="plus" size="18" /></span>
		</li>
	`;
}

function Card({ integration: i, system, day, hours }) {
	return html`
		<li class=${`card ${i.enabled ? "" : "off"}`}>
			<div class="card-head">
				<span class="mark"><${Icon} name=${i.system} /></span>
				<div class="card-name">
					<h3>
						<a href=${`/integrations/${i.id}`}><bdi>${i.name}</bdi></a>
					</h3>
					<p class="card-sub">
						<span class="muted">${system?.title || i.system}</span>
						<${StatePill} of=${i} />
						${" "}
						<${MutedPill} of=${i} />
					</p>
				</div>
			</div>
			<p class="card-events">${subscribed(i, system)}</p>
			${!i.enabled &&
			html`
				<p class=${i.disabled?.by === "platform" ? "card-off bad" : "card-off"}><${Off} of=${i} /></p>
			`}
			${i.unreadable &&
			html`
				<p class="card-off bad">${t(`unreadable.${i.unreadable.cause}`)}</p>
			`}
			${i.failing &&
			html`
				<p class="card-off bad"><${Failing} of=${i} /></p>
				<p class="muted">${t("failing.what")}</p>
			`}
			${hours &&
			html`
				<${CardDay} day=${day} hours=${hours} />
			`}
			<p class="card-foot">
				<a href=${`/integrations/${i.id}/deliveries`} aria-label=${t("card.deliveries.of", { name: i.name })}>
					${t("card.deliveries")}
				</a>
			</p>
		</li>
	`;
}

const Cards = ({ items, systems, day }) => html`
	<ul class="cards">
		${items.map(
			(i) => html`
				<${Card}
					key=${i.id}
					integration=${i}
					system=${systems[i.system]}
					day=${day.of[i.id]}
					hours=${day.hours}
				/>
			`,
		)}
	</ul>
`;

function Group({ group, items, tiles, systems, day, session }) {
	if (!items.length && !tiles.length) return null;
	return html`
		<section class="group" key=${group.title}>
			<div class="group-head">
				<h2><${Said} text=${group.title} /></h2>
				${may("integrations") &&
				html`
					<a
						class="quiet small"
						href=${`/add?group=${encodeURIComponent(group.title)}`}
						aria-label=${t("group.add.to", { group: group.title })}
					>
						<${Icon} name="plus" size="16" />
						${t("group.add")}
					</a>
				`}
			</div>
			${items.length > 0 &&
			html`
				<${Cards} items=${items} systems=${systems} day=${day} />
			`}
			${tiles.length > 0 &&
			html`
				<ul class="tiles">
					${tiles.map(
						(s) => html`
							<${Tile} key=${s.name} system=${s} session=${session} />
						`,
					)}
				</ul>
			`}
		</section>
	`;
}

function Nothing({ tab, q, group, counts }) {
	if (q || group)
		return html`
			<${Empty} icon="search" title=${t("empty.filtered")}>
				<p><a class="button" href="/">${t("empty.showall")}</a></p>
			<//>
		`;
	if (["attention", "disabled", "failing"].includes(tab))
		return html`
			<${Empty} icon="check" title=${t(`empty.${tab}`)} />
		`;
	return html`
		<${Empty} icon="bell" title=${t(counts.all ? "empty.enabled" : "empty.none")}>
			${may("integrations")
				? html`
						<p><a class="button primary" href="/add">${t("group.add")}</a></p>
					`
				: ""}
		<//>
	`;
}

// selected are the integrations that the filter leaves, in order.
function selected({ groups, items }, { tab, group, q, order }, days) {
	const system = Object.fromEntries(groups.flatMap((g) => g.systems.map((s) => [s.name, { ...s, group: g.title }])));
	const text = q.toLowerCase();
	const holds = (name) => !text || name.toLowerCase().includes(text);
	const left = items.filter(
		(i) =>
			system[i.system] &&
			inTab[tab](i) &&
			(!group || system[i.system].group === group) &&
			(holds(i.name) || holds(system[i.system].title)),
	);
	const compare = comparing(order, days);
	const tilesOf = (g) =>
		tab === "all" ? g.systems.filter((s) => s.enabled + s.disabled === 0 && holds(s.title)) : [];
	return { system, left: compare ? left.toSorted(compare) : left, tilesOf, flat: Boolean(compare) };
}

function Found({ data, overview, filter, session }) {
	const { tab, group, q, order } = filter;
	const [most, setMost] = useState(cardsAtOnce);
	useEffect(() => setMost(cardsAtOnce), [tab, group, q, order]);
	const days = useMemo(
		() => Object.fromEntries((overview?.integrations || []).map((l) => [l.id, l])),
		[overview?.integrations],
	);
	const { system, left, tilesOf, flat } = useMemo(
		() => selected(data, filter, days),
		[data, tab, group, q, order, days],
	);
	const day = { of: days, hours: overview?.hours };
	const sections = [];
	let room = most;
	if (flat && left.length) {
		sections.push(html`
			<section class="group" key="all">
				<h2>${t(`order.${order}`)}</h2>
				<${Cards} items=${left.slice(0, most)} systems=${system} day=${day} />
			</section>
		`);
		room -= left.length;
	}
	for (const g of data.groups.filter((g) => !group || g.title === group)) {
		const items = flat ? [] : left.filter((i) => system[i.system].group === g.title);
		const tiles = room >= items.length ? tilesOf(g) : [];
		const drawn = Group({
			group: g,
			items: items.slice(0, Math.max(0, room)),
			tiles,
			systems: system,
			day,
			session,
		});
		room -= items.length;
		if (drawn) sections.push(drawn);
	}
	return html`
		<p class="visually-hidden" role="status">${t("list.found", { n: left.length })}</p>
		${sections.length
			? sections
			: html`
					<${Nothing} tab=${tab} q=${q} group=${group} counts=${data.counts} />
				`}
		${left.length > most &&
		html`
			<p class="more">
				<button type="button" onClick=${() => setMost(most + cardsAtOnce)}>
					${t("list.more", { n: left.length - most })}
				</button>
			</p>
		`}
	`;
}

const Order = ({ order }) => html`
	<label class="order">
		<span>${t("order.label")}</span>
		<select
			value=${order}
			onChange=${(e) =>
				navigate(withQuery({ order: e.target.value === "group" ? "" : e.target.value }), { replace: true })}
		>
			${orders.map(
				(o) => html`
					<option value=${o}>${t(`order.${o}`)}</option>
				`,
			)}
		</select>
	</label>
`;

// useHome reads the integrations often, and the overview now and then and whenever one begins to fail or works again.
function useHome() {
	const list = useLoad("integrations", integrationsByGroup, { every: refresh });
	const day = useLoad("overview", async (signal) => (await get("/v1/overview", { signal })).body, {
		every: refreshDay,
	});
	const states = list.data?.integrations.map((i) => i.state).join();
	const known = useRef(states);
	useEffect(() => {
		if (known.current && states && known.current !== states) day.reload();
		known.current = states || known.current;
	}, [states]);
	const data = useMemo(() => list.data && joined(list.data, day.data), [list.data, day.data]);
	return { list: { ...list, data }, day };
}

// joined adds to the integrations what only the overview looks for: why they need a person, and whether their secrets
// can be read.
function joined({ groups, integrations, counts }, overview) {
	const causes = Object.fromEntries((overview?.integrations || []).map((l) => [l.id, l.cause]));
	const unreadable = (i) => (["lost", "away"].includes(causes[i.id]) ? { cause: causes[i.id] } : undefined);
	const items = integrations.map((i) => ({ ...i, cause: causes[i.id], unreadable: unreadable(i) }));
	return { groups, counts: { ...counts, attention: items.filter(inTab.attention).length }, items };
}

// Top is what Home opens with. A person without any integration has nothing to look at yet.
function Top({ list, day, session }) {
	const systems = useMemo(
		() => Object.fromEntries(list.groups.flatMap((g) => g.systems.map((s) => [s.name, s]))),
		[list.groups],
	);
	const begin =
		day.data &&
		may("integrations") &&
		html`
			<${Begin} items=${list.items} overview=${day.data} tenant=${session.tenant} />
		`;
	if (!list.items.length) return begin;
	return html`
		${begin}
		${day.error &&
		html`
			<${Failure} error=${day.error} retry=${day.reload} />
		`}
		${day.data &&
		html`
			<${Attention} overview=${day.data} counts=${list.counts} systems=${systems} />
			<${Day} overview=${day.data} />
		`}
	`;
}

// Several opens what is done to several integrations at once.
function Several({ done }) {
	const [Bulk, set] = useState(null);
	const [open, { busy, error }] = useAction(async () => {
		const module = await import("./bulk.js");
		set(() => module.Bulk);
	});
	return html`
		<button type="button" aria-disabled=${busy ? "true" : undefined} onClick=${open}>
			<${Busy} on=${busy}>${t("bulk.title")}<//>
		</button>
		${error &&
		html`
			<span class="error" role="alert">${t("error.unreachable")}</span>
		`}
		${Bulk &&
		html`
			<${Bulk} onClose=${() => set(null)} done=${done} />
		`}
	`;
}

export function Integrations({ session }) {
	const { query } = useLocation();
	const filter = {
		tab: tabOf(query, tabs),
		group: query.get("group") || "",
		q: query.get("q") || "",
		order: orders.includes(query.get("order")) ? query.get("order") : "group",
	};
	const { list, day } = useHome();
	const shown = tabs.filter((t) => t !== "attention" || filter.tab === t || list.data?.counts.attention > 0);
	const again = () => {
		list.reload();
		day.reload();
	};
	const ready = list.data && (day.data || day.error); // both, so that nothing moves down once it is read
	const top = useMemo(
		() =>
			ready &&
			html`
				<${Top} list=${list.data} day=${day} session=${session} />
			`,
		[list.data, day.data, day.error, session, language],
	);
	return html`
		<div class="title">
			<div>
				<h1 tabindex="-1">${t("list.title")}</h1>
				<p class="muted">
					${t("list.lead")}
					${session.sections.includes("triggers") &&
					html`
						${" "}
						<a href="/triggers">${t("list.triggers")}</a>
					`}
				</p>
			</div>
			${may("integrations") &&
			html`
				<div class="buttons">
					<${Several} done=${again} />
					<a class="button primary" href="/add">
						<${Icon} name="plus" size="18" />
						${t("group.add")}
					</a>
				</div>
			`}
		</div>
		${list.error &&
		html`
			<${Failure} error=${list.error} retry=${again} />
		`}
		${ready
			? html`
					${top}
					<div class="tools">
						<${Tabs} counts=${list.data.counts} current=${filter.tab} tabs=${shown} />
						<${Order} order=${filter.order} />
						<${Search} q=${filter.q} label=${t("search.label")} atOnce />
					</div>
					<div class="split">
						<${Groups} groups=${list.data.groups} current=${filter.group} />
						<div class="found">
							<${Found} data=${list.data} overview=${day.data} filter=${filter} session=${session} />
						</div>
					</div>
				`
			: !list.error &&
				html`
					<${Skeleton} kind="cards" count="6" />
				`}
	`;
}
