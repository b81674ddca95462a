// Checks a form against a parameters schema as one types: the part of JSON Schema that the catalogue uses. The API
// checks everything again; what only it can know (addresses, certificates) is shown at the field when it answers.
import { t } from "./i18n.js";

export const MASK = "********";

const email = /^[^\s@,]+@[^\s@,]+\.[^\s@,]+$/;
export const isEmail = (text) => email.test(text);
const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

// fieldsOf lists the properties in the order of the form.
export function fieldsOf(schema) {
	return Object.entries(schema?.properties || {}).map(([name, p]) => ({
		name,
		...p,
		required: (schema.required || []).includes(name) || Boolean(p["x-needed"]), // where it is shown
	}));
}

// kindOf says which control a field has.
export function kindOf(field) {
	if (field.readOnly) return "shown";
	if (field.enum) return "choice";
	if (field.type === "boolean") return "switch";
	if (field.type === "integer" || field.type === "number") return "number";
	if (field.type === "array") return "list";
	if (field.type === "object") return "map";
	return field.maxLength >= 4096 ? "area" : "text";
}

// initial is the value of a form's control.
export function initial(field, value) {
	switch (kindOf(field)) {
		case "list":
			return (value || []).join(", ");
		case "map":
			return Object.entries(value || {}).map(([name, v]) => ({ name, value: v }));
		case "switch":
			return value ?? field.default ?? false;
		case "number":
			return String(value ?? field.default ?? "");
		case "choice":
			return value ?? field.default ?? field.enum[0];
		default:
			return value ?? field.default ?? "";
	}
}

// words are the entries of a text field that takes several.
export const words = (text) => text.split(/[,;\s]+/).filter(Boolean);

// valueOf is what a control's value is sent as; undefined when it is empty.
export function valueOf(field, control) {
	switch (kindOf(field)) {
		case "list":
			return words(control);
		case "map": {
			const rows = control.filter((r) => r.name.trim() || r.value);
			return rows.length ? Object.fromEntries(rows.map((r) => [r.name.trim(), r.value])) : undefined;
		}
		case "number":
			return control.trim() === "" ? undefined : Number(control);
		case "switch":
			return control;
		default:
			return control.trim() === "" ? undefined : field.maxLength >= 4096 ? control : control.trim();
	}
}

function url(value) {
	let u;
	try {
		u = new URL(value);
	} catch {
		return false;
	}
	return (u.protocol === "https:" || u.protocol === "http:") && Boolean(u.host) && /^[a-z]+:\/\//i.test(value);
}

function text(field, v) {
	const n = [...v].length;
	if (field.minLength > 1 && field.minLength === field.maxLength && n !== field.minLength)
		return t("check.length", { n: field.minLength, has: n });
	if (n < (field.minLength || 0)) return t("check.minLength", { n: field.minLength, has: n });
	if (n > (field.maxLength ?? Infinity)) return t("check.maxLength", { n: field.maxLength, has: n });
	if (field.format === "uri" && !url(v)) return t("check.uri");
	if (field.format === "uuid" && !uuid.test(v)) return t("check.uuid");
	if (field.format === "email" && !isEmail(v)) return t("check.email", { value: v });
	if (field.pattern && !new RegExp(field.pattern, "u").test(v)) return t("check.pattern", { pattern: field.pattern });
	return "";
}

function numeric(field, v) {
	if (!Number.isFinite(v) || (field.type === "integer" && !Number.isInteger(v))) return t("check.integer");
	if (v < (field.minimum ?? -Infinity)) return t("check.minimum", { min: field.minimum });
	if (v > (field.maximum ?? Infinity)) return t("check.maximum", { max: field.maximum });
	return "";
}

function listed(field, v) {
	if (v.length > (field.maxItems ?? Infinity)) return t("check.maxItems", { n: field.maxItems });
	const wrong =
		/mail/i.test(field.name + field.title) || field.name === "addresses" ? v.find((a) => !isEmail(a)) : undefined;
	if (wrong) return t("check.email", { value: wrong });
	const twice = field.uniqueItems && v.find((a, i) => v.indexOf(a) !== i);
	return twice ? t("check.twice", { value: twice }) : "";
}

// check is what is wrong with a control's value, "" for nothing.
export function check(field, control) {
	const v = valueOf(field, control);
	if (v === undefined || (Array.isArray(v) && !v.length)) return field.required ? t("check.required") : "";
	if (v === MASK) return "";
	switch (kindOf(field)) {
		case "number":
			return numeric(field, v);
		case "list":
			return listed(field, v);
		case "map":
			return "" in v || Object.values(v).includes("") ? t("check.pairs") : "";
		case "choice":
		case "switch":
		case "shown":
			return "";
		default:
			return text(field, v);
	}
}
