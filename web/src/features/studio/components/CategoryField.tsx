import { useQuery } from '@tanstack/react-query';
import { site } from '@/api/site';
import { SelectField, TextField } from '@/components/Field';
import { t } from '@/text/t';

/** What a broadcast is about: one of the site's categories, or anything where it lists none. */
export function CategoryField({ value }: { readonly value: string }) {
  const { data } = useQuery(site());
  const categories = data?.categories ?? [];
  if (categories.length === 0) {
    return (
      <TextField
        name="category"
        label={t('details.category')}
        hint={t('details.category.hint')}
        defaultValue={value}
        maxLength={50}
      />
    );
  }
  return (
    // The list comes after the first drawing; the choice begins anew with it.
    <SelectField key={categories.length} name="category" label={t('details.category')} defaultValue={value}>
      <option value="">{t('details.category.none')}</option>
      {/* One that the site has taken off its list stays. */}
      {value !== '' && !categories.includes(value) && <option>{value}</option>}
      {categories.map((category) => (
        <option key={category}>{category}</option>
      ))}
    </SelectField>
  );
}
