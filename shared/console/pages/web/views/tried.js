// What an integration would have got of the last events with the filters that a form holds. Nothing is sent.
import { html } from "../html.js";
import { said, t, time } from "../i18n.js";
import { Icon } from "../icons.js";
import { Busy, Failure } from "../ui.js";

const stopped = (s, rules) =>
	t("filter.tried.stopped", { name: said(rules.find((r) => r.id === s.filter)?.title || s.filter), n: s.events });

function words({ result: r }, rules) {
	if (!r) return "";
	const span = { from: time(r.from, { seconds: true }), to: time(r.to, { seconds: true }) };
	if (!r.takes) return t("filter.tried.none", span);
	return [
		t("filter.tried", { n: r.takes, passed: r.passed, ...span }),
		...r.stopped.map((s) => stopped(s, rules)),
	].join(" ");
}

// Tried is the button and its answer: of is what useTest keeps, ready says whether the filters can be tried.
export const Tried = ({ of, ready, rules }) => html`
	<div class="buttons start">
		<button
			type="button"
			aria-disabled=${of.busy ? "true" : undefined}
			onClick=${() => {
				if (!of.busy && ready()) of.run();
			}}
		>
			<${Busy} on=${of.busy}>
				<${Icon} name="search" size="18" />
				${t("filter.try")}
			<//>
		</button>
	</div>
	<p class="tried" role="status">${words(of, rules)}</p>
	${of.error &&
	!of.error.fields?.length &&
	html`
		<${Failure} error=${of.error} />
	`}
`;
