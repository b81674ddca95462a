// How many events an integration did not get, by its filters and by what else stopped them.
import { html } from "../html.js";
import { get, integrationPath } from "../api.js";
import { list, said, t } from "../i18n.js";
import { useLoad } from "../load.js";
import { View } from "../ui.js";
import { narrowed } from "./filter-rows.js";

// what names what stopped events: the filters of that kind that the integration has now, or the one that it had.
function what(by, { filters }, rules) {
	const own = filters.filter((f) => f.id === by);
	if (own.length > 0) return list(own.map((f) => narrowed(f, rules)));
	if (by === "quiet" || by === "mute") return t(`left_out.${by}`);
	return t("left_out.before", { filter: said(rules?.find((d) => d.id === by)?.title ?? by) });
}

export function LeftOut({ integration: i, rules }) {
	const load = useLoad(
		`left out ${i.id} ${i.revision}`,
		async (signal) => (await get(integrationPath(i.id, "/left-out"), { signal })).body,
	);
	if (i.filters.length === 0 && !load.data?.stopped.length) return null;
	return html`
		<section class="panel uses" aria-label=${t("left_out.title")}>
			<h2>${t("left_out.title")}</h2>
			<${View} load=${load} count="2">
				${({ stopped }) => html`
					<ul>
						${stopped.map(
							(s) => html`
								<li key=${s.filter}>
									${t("left_out.of", { filter: what(s.filter, i, rules), n: s.events })}
								</li>
							`,
						)}
					</ul>
					<p class="muted">${t("left_out.note")}</p>
				`}
			<//>
		</section>
	`;
}
