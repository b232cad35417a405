/** A choice among the currencies one has to do with. */
export function CurrencySelect(props: {
  label?: string;
  value: string;
  currencies: string[];
  onChange: (currency: string) => void;
}) {
  const { label = "Currency", value, currencies, onChange } = props;
  return (
    <label>
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {[...new Set([value, ...currencies])].sort().map((currency) => (
          <option key={currency}>{currency}</option>
        ))}
      </select>
    </label>
  );
}
